//! TCP without waiting for more to send.
//!
//! The driver leaves Nagle's algorithm on: a small message that follows another waits until the
//! server has acknowledged the first, which it delays by some 40 ms. The driver also keeps its socket
//! to itself. So the process looks up its own sockets (Linux: `/proc/self/fd`), duplicates those that
//! lead to the server's port (`pidfd_getfd(2)` on itself), and sets the option on them: it belongs to
//! the socket, not to the descriptor. Where the system does not allow that, small exchanges stay slow
//! and nothing else happens.

/// Sends at once on every TCP connection of this process that leads to `port`. To be called after
/// connecting; returns on how many the option is set.
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
        .filter(|stream| stream.set_nodelay(true).is_ok())
        .count()
}

/// Other systems do not let a process duplicate a descriptor by its number.
#[cfg(not(target_os = "linux"))]
pub(crate) fn set(_port: u16) -> usize {
    0
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_connection_to_the_port_sends_at_once() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        assert!(!stream.nodelay().unwrap());
        let set = super::set(port);
        assert_eq!(stream.nodelay().unwrap(), set == 1, "{set}");
        // Still open: what was closed is a duplicate.
        assert!(stream.peer_addr().is_ok());
    }
}
