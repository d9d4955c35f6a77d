"""The demonstration: a second-level node, two enterprises, certifiers, a chain, and somebody who checks it all."""
