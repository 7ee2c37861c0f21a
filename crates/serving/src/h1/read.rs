//! Reading from a stream into a buffer that exists only while it has bytes.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, ReadBuf};

use crate::stream::Stream;

/// Most bytes of one read. More than what a socket usually holds, so that a
/// read comes back short and the runtime knows the socket is empty.
const CHUNK: usize = 32 << 10;

/// Reads once and appends. `Ok(0)` is the end of the stream.
///
/// The bytes pass through the stack, so an idle connection holds no buffer
/// and a buffer is never larger than what came.
#[expect(
    clippy::large_stack_arrays,
    reason = "a leaf on the stack: no buffer outlives a read"
)]
pub(crate) fn poll_read_some(stream: &mut Stream, buf: &mut BytesMut, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let mut space = [const { MaybeUninit::uninit() }; CHUNK];
    let mut read = ReadBuf::uninit(&mut space);
    ready!(Pin::new(stream).poll_read(cx, &mut read))?;
    let bytes = read.filled();
    if buf.is_empty() {
        *buf = BytesMut::from(bytes);
    } else {
        buf.extend_from_slice(bytes);
    }
    Poll::Ready(Ok(bytes.len()))
}
