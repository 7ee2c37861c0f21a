//! How freed memory goes back to the system.

/// Blocks of this size and more are mapped and unmapped one by one.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: libc::c_int = 1 << 20;

/// Keeps the allocator of glibc from learning that large blocks come again: after the first password (19 MiB of memory to
/// hash) it would keep as much in the heap of each thread that ever hashed one, forever.
pub(crate) fn give_large_blocks_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "the C library has no safe way to say this")]
    // SAFETY: it sets a number of the allocator, takes no pointer, and no other thread runs yet.
    let set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    debug_assert_eq!(set, 1, "the allocator refused its threshold");
}
