# Shell functions shared by the scripts of this folder. Source it from the project's root.

# Prints a Python that can make our environment: 3.11 to 3.13 with the venv module. 3.11 and 3.12 come first, since every
# package has a wheel for them. TIAL_PYTHON overrides the choice.
find_python() {
    local candidate incomplete=""
    for candidate in "${TIAL_PYTHON:-}" python3.11 python3.12 python3 python3.13; do
        [ -n "$candidate" ] || continue
        "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 || continue
        if "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return 0
        fi
        incomplete="$candidate"
    done
    if [ -n "$incomplete" ]; then
        # It explains what is missing and how to install it.
        "$incomplete" scripts/bootstrap.py
    else
        printf 'no Python 3.11, 3.12 or 3.13 was found; on Debian: apt-get install python3 python3-venv\n' >&2
    fi
    return 1
}

# Makes or refreshes .venv and contracts/node_modules; arguments are those of scripts/bootstrap.py.
bootstrap() {
    local python
    python="$(find_python)" || return 1
    "$python" scripts/bootstrap.py "$@"
}
