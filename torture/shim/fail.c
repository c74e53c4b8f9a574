// Lets one call on a database fail: loaded with LD_PRELOAD, it counts the calls on files whose names begin with
// $FAIL_FILE, and the $FAIL_AT-th returns EIO, or that one and all after it ($FAIL_FOR_EVER). It writes the name
// of the call into $FAIL_REPORT then.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FILES 1024

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned char is_ours[FILES];
static long calls;

static int known(const char *path) {
  const char *name = getenv("FAIL_FILE");
  return name && path && strncmp(path, name, strlen(name)) == 0;
}

static int known_descriptor(int descriptor) {
  return descriptor >= 0 && descriptor < FILES && is_ours[descriptor];
}

static void report(const char *call) {
  int descriptor = REAL(open)(getenv("FAIL_REPORT"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor < 0 || write(descriptor, call, strlen(call)) < 0) abort();
  REAL(close)(descriptor);
}

// Whether this call fails.
static int fails(const char *call) {
  pthread_mutex_lock(&lock);
  long at = atol(getenv("FAIL_AT"));
  long now = ++calls;
  if (now == at) report(call);
  pthread_mutex_unlock(&lock);
  if (now != at && !(now > at && getenv("FAIL_FOR_EVER"))) return 0;
  errno = EIO;
  return 1;
}

#define OPEN(name)                                                       \
  int name(const char *path, int flags, ...) {                           \
    va_list rest;                                                        \
    va_start(rest, flags);                                               \
    mode_t mode = va_arg(rest, mode_t);                                  \
    va_end(rest);                                                        \
    int ours = known(path);                                              \
    if (ours && fails(#name)) return -1;                                 \
    int descriptor = REAL(name)(path, flags, mode);                      \
    if (descriptor >= 0 && descriptor < FILES) is_ours[descriptor] = ours; \
    return descriptor;                                                   \
  }

OPEN(open)
OPEN(open64)

int close(int descriptor) {
  if (descriptor >= 0 && descriptor < FILES) is_ours[descriptor] = 0;
  return REAL(close)(descriptor);
}

#define ON_DESCRIPTOR(result, failed, name, parameters, arguments) \
  result name parameters {                                         \
    if (known_descriptor(descriptor) && fails(#name)) return failed; \
    return REAL(name) arguments;                                   \
  }

ON_DESCRIPTOR(ssize_t, -1, pread, (int descriptor, void *to, size_t length, off_t at), (descriptor, to, length, at))
ON_DESCRIPTOR(ssize_t, -1, pread64, (int descriptor, void *to, size_t length, off64_t at), (descriptor, to, length, at))
ON_DESCRIPTOR(ssize_t, -1, pwrite, (int descriptor, const void *from, size_t length, off_t at), (descriptor, from, length, at))
ON_DESCRIPTOR(ssize_t, -1, pwrite64, (int descriptor, const void *from, size_t length, off64_t at), (descriptor, from, length, at))
ON_DESCRIPTOR(int, -1, ftruncate, (int descriptor, off_t length), (descriptor, length))
ON_DESCRIPTOR(int, -1, ftruncate64, (int descriptor, off64_t length), (descriptor, length))
ON_DESCRIPTOR(int, -1, fsync, (int descriptor), (descriptor))
ON_DESCRIPTOR(int, -1, fdatasync, (int descriptor), (descriptor))
ON_DESCRIPTOR(int, -1, fstat, (int descriptor, struct stat *to), (descriptor, to))
ON_DESCRIPTOR(int, -1, fstat64, (int descriptor, struct stat64 *to), (descriptor, to))
// These return the error.
ON_DESCRIPTOR(int, EIO, posix_fallocate, (int descriptor, off_t at, off_t length), (descriptor, at, length))
ON_DESCRIPTOR(int, EIO, posix_fallocate64, (int descriptor, off64_t at, off64_t length), (descriptor, at, length))

void *mmap(void *at, size_t length, int access, int flags, int descriptor, off_t offset) {
  if (known_descriptor(descriptor) && fails("mmap")) return MAP_FAILED;
  return REAL(mmap)(at, length, access, flags, descriptor, offset);
}

void *mmap64(void *at, size_t length, int access, int flags, int descriptor, off64_t offset) {
  if (known_descriptor(descriptor) && fails("mmap64")) return MAP_FAILED;
  return REAL(mmap64)(at, length, access, flags, descriptor, offset);
}

int unlink(const char *path) {
  if (known(path) && fails("unlink")) return -1;
  return REAL(unlink)(path);
}
