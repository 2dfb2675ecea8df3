# For ~/.bashrc and ~/.zshrc: `docker` and `podman` typed here carry out artifact mounts. What a script calls stays the
# engine's own; for that see contrib/shell/link.
#
#     source …/contrib/shell/artishim.bash
if command -v artishim >/dev/null; then
    ! command -v docker >/dev/null || alias docker='artishim docker'
    ! command -v podman >/dev/null || alias podman='artishim podman'
fi
