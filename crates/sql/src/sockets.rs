//! How TCP connections to servers behave: nothing waits for more to send, and a peer that vanished is
//! noticed.
//!
//! The driver leaves Nagle's algorithm on: a small message that follows another waits until the
//! server has acknowledged the first, which it delays by some 40 ms. It sets no keepalive either: where
//! a server, or a NAT between, goes without a word, an answer would be waited for without end. And it
//! keeps its socket to itself. So the process looks up its own sockets (Linux: `/proc/self/fd`),
//! duplicates those that lead to the server's port (`pidfd_getfd(2)` on itself), and sets the options
//! on them: they belong to the socket, not to the descriptor. Where the system does not allow that,
//! small exchanges stay slow, and whoever waits for a vanished server has to be ended by hand.

/// Sets the options of every TCP connection of this process that leads to `port`. To be called after
/// connecting; returns on how many they are set.
#[cfg(target_os = "linux")]
pub(crate) fn set(port: u16) -> usize {
    use std::net::TcpStream;

    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    let Ok(own) = pidfd_open(getpid(), PidfdFlags::empty()) else { return 0 };
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return 0 };
    let is_socket = |path: &std::path::Path| {
        std::fs::read_link(path)
            .is_ok_and(|to| to.as_os_str().as_encoded_bytes().starts_with(b"socket:"))
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| is_socket(&entry.path()))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|number| pidfd_getfd(&own, number, PidfdGetfdFlags::empty()).ok())
        // Only the duplicate is closed with it.
        .map(TcpStream::from)
        .filter(|stream| stream.peer_addr().is_ok_and(|peer| peer.port() == port))
        .filter(|stream| stream.set_nodelay(true).is_ok() && watch(stream).is_ok())
        .count()
}

/// A connection that is quiet for so long is asked whether its other end is there, and how often.
#[cfg(target_os = "linux")]
const QUIET: std::time::Duration = std::time::Duration::from_secs(30);
#[cfg(target_os = "linux")]
const ASKED_EVERY: std::time::Duration = std::time::Duration::from_secs(10);

/// It is given up when nothing was heard for so long, in milliseconds. The kernel counts a server
/// that is there but reads nothing as silent too, so one that is held up by a trigger or its disk
/// has to have time.
#[cfg(target_os = "linux")]
const GIVEN_UP_AFTER_MS: u32 = 300_000;

#[cfg(target_os = "linux")]
fn watch(stream: &std::net::TcpStream) -> rustix::io::Result<()> {
    use rustix::net::sockopt;

    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, QUIET)?;
    sockopt::set_tcp_keepintvl(stream, ASKED_EVERY)?;
    sockopt::set_tcp_user_timeout(stream, GIVEN_UP_AFTER_MS)
}

/// Other systems do not let a process duplicate a descriptor by its number.
#[cfg(not(target_os = "linux"))]
pub(crate) fn set(_port: u16) -> usize {
    0
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use rustix::net::sockopt;

    #[test]
    fn a_connection_to_the_port_sends_at_once_and_notices_a_peer_that_is_gone() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let other = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let other = TcpStream::connect(other.local_addr().unwrap()).unwrap();
        let told = |stream: &TcpStream| {
            (
                stream.nodelay().unwrap(),
                sockopt::socket_keepalive(stream).unwrap(),
                sockopt::tcp_keepidle(stream).unwrap() == Duration::from_secs(30),
                sockopt::tcp_keepintvl(stream).unwrap() == Duration::from_secs(10),
                sockopt::tcp_user_timeout(stream).unwrap() == 300_000,
            )
        };
        let untouched = (false, false, false, false, false);
        assert_eq!(told(&stream), untouched);
        // Some sandboxes forbid it.
        let is_allowed = super::set(port) == 1;
        let expected = if is_allowed { (true, true, true, true, true) } else { untouched };
        assert_eq!(told(&stream), expected);
        assert_eq!(told(&other), untouched, "another port");
        // Still open: what was closed is a duplicate.
        assert!(stream.peer_addr().is_ok());
    }
}
