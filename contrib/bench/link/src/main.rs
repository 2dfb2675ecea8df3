//! Two helpers of contrib/bench: a link with a long way, and a download that does nothing but receive and write.
mod delay;
mod fetch;

const USAGE: &str = "usage: artishim-bench-link delay LISTEN UPSTREAM ROUND_TRIP_MS WINDOW_BYTES
       artishim-bench-link fetch HOST:PORT CONNECTIONS <LINES   each line: URL-PATH SIZE FILE";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args.as_slice() {
        ["delay", listen, upstream, rtt, window] => match (rtt.parse(), window.parse()) {
            (Ok(rtt), Ok(window)) => delay::serve(listen, upstream, rtt, window),
            _ => usage(),
        },
        ["fetch", server, connections] => match connections.parse() {
            Ok(connections) => fetch::all(server, connections),
            _ => usage(),
        },
        _ => usage(),
    };
    if let Err(error) = result {
        eprintln!("artishim-bench-link: {error}");
        std::process::exit(1);
    }
}

fn usage() -> ! {
    eprintln!("{USAGE}");
    std::process::exit(2);
}
