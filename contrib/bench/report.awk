# Medians of the results of contrib/bench/pull: the table of one cell (only=LINK/SHAPE), or all goals (goals=1).
# A line of results: link shape name wall user sys KiB again sync.

{
    cell = $1 "/" $2
    key = cell "/" $3
    if (!(key in count)) order[++keys] = key
    number = ++count[key]
    value[key, "wall", number] = $4
    value[key, "cpu", number] = ($5 + $6) / gib($2)
    value[key, "rss", number] = $7 / 1024
    value[key, "again", number] = $8 / 1048576
    value[key, "sync", number] = $9
}

function gib(shape) { return shape == "small" ? 2000 * 16384 / 1073741824 : 1 }

function median(key, what,    n, i, j, sorted, swap) {
    n = count[key]
    for (i = 1; i <= n; i++) {
        sorted[i] = value[key, what, i]
        for (j = i; j > 1 && sorted[j - 1] > sorted[j]; j--) {
            swap = sorted[j]; sorted[j] = sorted[j - 1]; sorted[j - 1] = swap
        }
    }
    return n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
}

# The fastest of those that verify what they fetch; "default": with as many blobs at once as they take unless told.
function best_peer(cell, default_only,    names, n, i, wall, best) {
    n = split("podman oras skopeo" (default_only ? "" : " oras16"), names, " ")
    best = 0
    for (i = 1; i <= n; i++) {
        if (!((cell "/" names[i]) in count)) continue
        wall = median(cell "/" names[i], "wall")
        if (!best || wall < best) best = wall
    }
    return best
}

function ratio(over, under) { return over && under ? sprintf("%.2f", over / under) : "-" }

function table(cell,    i, key, part, peer, limit, wall) {
    peer = best_peer(cell)
    limit = (cell "/limit") in count ? median(cell "/limit", "wall") : 0
    printf "%-10s %9s %9s %9s %10s %8s %10s %7s\n", cell, "wall s", "x peer", "x limit", "CPU s/GiB", "RSS MiB", "again MiB", "sync s"
    for (i = 1; i <= keys; i++) {
        key = order[i]
        split(key, part, "/")
        if (part[1] "/" part[2] != cell) continue
        wall = median(key, "wall")
        printf "%-10s %9.2f %9s %9s %10.2f %8.0f %10.1f %7.2f\n", part[3], wall, ratio(peer, wall), ratio(wall, limit), \
            median(key, "cpu"), median(key, "rss"), median(key, "again"), median(key, "sync")
    }
    print ""
}

# goal(WHAT, IS, WANTED, LEAST): IS must be at least WANTED (LEAST), or at most.
function goal(what, is, wanted, least,    verdict) {
    if (is == "") verdict = "not measured"
    else if (least ? is >= wanted : is <= wanted) verdict = "met"
    else { verdict = "MISSED"; missed++ }
    printf "%-12s %s: %s (%s %s)\n", verdict, what, is == "" ? "-" : sprintf("%.2f", is), least ? "at least" : "at most", wanted
}

# How many times as fast as another one; empty if one of both was not measured.
function faster(cell, than,    wall) {
    if (!((cell "/artishim") in count)) return ""
    wall = than == "peer" ? best_peer(cell) : than == "default" ? best_peer(cell, 1) : \
        (cell "/" than) in count ? median(cell "/" than, "wall") : 0
    return wall ? wall / median(cell "/artishim", "wall") : ""
}

function our(cell, what) { return (cell "/artishim") in count ? median(cell "/artishim", what) : "" }

function share_of(cell, what, than) {
    return our(cell, what) != "" && (cell "/" than) in count ? our(cell, what) / median(cell "/" than, what) : ""
}

function all_goals(    links, i, cell, most) {
    print "GOALS"
    goal("cap/one: times as fast as the fastest that verifies", faster("cap/one", "peer"), 11, 1)
    goal("cap/one: times as fast as aria2c", faster("cap/one", "aria2c"), 1, 1)
    goal("rtt/one: times as fast as the fastest that verifies", faster("rtt/one", "peer"), 6.5, 1)
    goal("lo/one: times as fast as the fastest that verifies", faster("lo/one", "peer"), 1.4, 1)
    goal("lo/one: of oras' CPU", share_of("lo/one", "cpu", "oras"), 0.75, 0)
    goal("lo/one: seconds until what was written is on disk", our("lo/one", "sync"), 0.1, 0)
    split("lo cap rtt", links, " ")
    for (i = 1; i <= 3; i++)
        goal(links[i] "/many: times as fast as oras with 16 at once", faster(links[i] "/many", "oras16"), 1, 1)
    goal("rtt/small: times as fast as the fastest by default", faster("rtt/small", "default"), 3, 1)
    for (i = 1; i <= keys; i++) {
        if (order[i] ~ /artishim$/ && (most == "" || median(order[i], "rss") > most)) most = median(order[i], "rss")
    }
    goal("everywhere: MiB of memory", most, 128, 0)
}

END {
    if (only != "") table(only)
    if (goals) all_goals()
    if (check && missed) exit 1
}
