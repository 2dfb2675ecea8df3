//! What is asked of a registry.

/// The methods we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Post,
}

impl Method {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
        }
    }
}

/// A request without the things that change between tries: URL and authorization.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub method: Method,
    pub headers: Vec<(&'static str, String)>,
    pub query: Vec<(&'static str, String)>,
    pub form: Vec<(&'static str, String)>,
}

impl Request {
    pub fn new(method: Method) -> Self {
        // The digests are of the bytes as they are stored: no compression on the way.
        let headers = vec![("accept-encoding", String::from("identity"))];
        Self { method, headers, query: Vec::new(), form: Vec::new() }
    }

    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}
