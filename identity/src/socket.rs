//! What both ends of a connection ask of the system.

use std::io;

use tokio::net::TcpStream;

/// After how long without a sign that it came what was sent counts as lost, and the connection with it, in milliseconds.
#[cfg(target_os = "linux")]
const UNACKED_MS_MAX: u32 = 6_000;

/// Small messages go out at once, and a connection over which nothing comes through any more ends soon after something was sent. One
/// over which nothing is sent is found dead by HTTP/2's pings, which can be rare for it.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_user_timeout(stream, UNACKED_MS_MAX)?;
    Ok(())
}
