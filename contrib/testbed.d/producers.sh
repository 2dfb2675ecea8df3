# shellcheck shell=bash disable=SC2154
# Other people's programs that put models into registries, in a Python environment of their own.

# The stamp names what is installed, and is written last: what an interruption leaves is made anew.
install_producers() {
    local venv=$CACHE/producers list=$here/producers.txt stamp
    stamp=$(sha256sum <"$list")
    [ "$(cat "$venv/artishim-stamp" 2>/dev/null)" != "$stamp" ] || return 0
    say "installing from PyPI what producers.txt lists (300 MB)"
    rm -rf "$venv"
    /usr/bin/python3 -m venv "$venv"
    pip_install "$venv" "$list" >"$CACHE/producers.log" 2>&1 || die "failed, see $CACHE/producers.log"
    echo "$stamp" >"$venv/artishim-stamp"
}

# As with apt, the network gets three chances.
pip_install() {
    local try
    for try in 1 2 3; do
        ! "$1/bin/pip" install --no-cache-dir --disable-pip-version-check --requirement "$2" 9>&- || return 0
        sleep $((try * 5))
    done
    return 1
}

make_producers() {
    local tool
    for tool in ramalama omlmd olot oci-modelcar python; do
        write_script "$STATE/tools/$tool" "exec $CACHE/producers/bin/$tool \"\$@\""
    done
}
