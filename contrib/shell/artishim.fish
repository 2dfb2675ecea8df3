# For ~/.config/fish/config.fish: `docker` and `podman` typed here carry out artifact mounts. What a script calls stays
# the engine's own; for that see contrib/shell/link.
#
#     source …/contrib/shell/artishim.fish
if command -q artishim
    command -q docker; and alias docker 'artishim docker'
    command -q podman; and alias podman 'artishim podman'
end
