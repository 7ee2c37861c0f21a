/* Stands between a process and its disk (LD_PRELOAD): remembers of each file below a folder what was synced, so that a
 * test can throw the rest away as a power loss does. Nothing is really synced.
 *
 * POWER_ROOT     only files below this folder are remembered
 * POWER_PLATTER  folder for what is synced: one file for each inode and birth
 * POWER_BOOT     file that is read in the place of the kernel's boot id
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef int (*open_fn)(const char *, int, ...);

static const char *redirect(const char *path) {
    const char *boot = getenv("POWER_BOOT");
    return boot && path && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0 ? boot : path;
}

static int open_by(const char *name, const char *path, int flags, mode_t mode) {
    open_fn real = (open_fn)dlsym(RTLD_NEXT, name);
    return real(redirect(path), flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open_by("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open_by("open64", path, flags, mode);
}

static int copy_whole(int fd, const char *to) {
    static __thread char buffer[1 << 16];
    int out = open_by("open64", to, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (out < 0)
        return -1;
    off_t at = 0;
    ssize_t got;
    while ((got = pread(fd, buffer, sizeof buffer, at)) > 0) {
        if (write(out, buffer, (size_t)got) != got) {
            got = -1;
            break;
        }
        at += got;
    }
    close(out);
    return got < 0 ? -1 : 0;
}

static int remember(int fd) {
    static atomic_uint number;
    const char *root = getenv("POWER_ROOT"), *platter = getenv("POWER_PLATTER");
    struct statx meta;
    char link[64], path[4096], draft[4096], last[4096];
    if (!root || !platter)
        return 0;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_TYPE | STATX_BTIME, &meta) != 0)
        return -1;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return -1;
    path[length] = 0;
    if (!S_ISREG(meta.stx_mode) || strncmp(path, root, strlen(root)) != 0)
        return 0;
    snprintf(draft, sizeof draft, "%s/draft-%d-%u", platter, getpid(), atomic_fetch_add(&number, 1));
    snprintf(last, sizeof last, "%s/%llu-%lld%09u", platter, (unsigned long long)meta.stx_ino,
             (long long)meta.stx_btime.tv_sec, meta.stx_btime.tv_nsec);
    /* A descriptor for writing alone cannot be read from. */
    int readable = open_by("open64", link, O_RDONLY, 0);
    if (readable < 0 || copy_whole(readable, draft) != 0) {
        if (readable >= 0)
            close(readable);
        errno = EIO;
        return -1;
    }
    close(readable);
    return rename(draft, last);
}

int fsync(int fd) { return remember(fd); }
int fdatasync(int fd) { return remember(fd); }
