// Records what a process does to a database: loaded with LD_PRELOAD, it writes down every write,
// truncation, sync and removal of the files whose names begin with $RECORD_FILE, and what the process says
// on its standard output, in the order in which they happen. From that, src/power.rs makes what a disk
// would hold had the power failed at any moment.
//
// A record: kind (1 byte), file (1 byte), offset (8 bytes), length (4 bytes), and the bytes of a write; all
// of this machine's byte order. Kinds: W write, T truncate to offset, S sync, U unlink, A said (file 255).

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FILES 1024

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
// Which of the database's files a descriptor is, plus one.
static unsigned char file_of[FILES];

static int journal(void) {
  static int descriptor = -1;
  if (descriptor < 0) {
    const char *path = getenv("RECORD_TO");
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
    if (path) descriptor = REAL(open)(path, flags, 0600);
  }
  return descriptor;
}

static void put(const void *bytes, size_t length) {
  const char *rest = bytes;
  while (length > 0) {
    ssize_t written = REAL(write)(journal(), rest, length);
    if (written <= 0) abort();
    rest += written;
    length -= written;
  }
}

static void note(char kind, unsigned char file, uint64_t offset, const void *bytes, uint32_t length) {
  unsigned char head[14] = {kind, file};
  memcpy(head + 2, &offset, 8);
  memcpy(head + 10, &length, 4);
  put(head, sizeof head);
  put(bytes, length);
}

// 1: the database, 2: its log. Its shared memory does not outlive a power failure.
static int known(const char *path) {
  const char *name = getenv("RECORD_FILE");
  if (!name || !path || strncmp(path, name, strlen(name)) != 0) return 0;
  const char *suffix = path + strlen(name);
  if (*suffix == 0) return 1;
  if (strcmp(suffix, "-wal") == 0) return 2;
  return 0;
}

static int opened(int descriptor, const char *path) {
  if (descriptor >= 0 && descriptor < FILES) file_of[descriptor] = known(path);
  return descriptor;
}

static int recorded(int descriptor) {
  return descriptor >= 0 && descriptor < FILES ? file_of[descriptor] : 0;
}

#define OPEN(name)                                    \
  int name(const char *path, int flags, ...) {        \
    va_list rest;                                     \
    va_start(rest, flags);                            \
    mode_t mode = va_arg(rest, mode_t);               \
    va_end(rest);                                     \
    return opened(REAL(name)(path, flags, mode), path); \
  }

OPEN(open)
OPEN(open64)

int close(int descriptor) {
  if (descriptor >= 0 && descriptor < FILES) file_of[descriptor] = 0;
  return REAL(close)(descriptor);
}

#define PWRITE(name, offset_type)                                                       \
  ssize_t name(int descriptor, const void *bytes, size_t length, offset_type offset) {  \
    int file = recorded(descriptor);                                                    \
    if (!file) return REAL(name)(descriptor, bytes, length, offset);                    \
    pthread_mutex_lock(&lock);                                                          \
    ssize_t written = REAL(name)(descriptor, bytes, length, offset);                    \
    if (written > 0) note('W', file, offset, bytes, written);                           \
    pthread_mutex_unlock(&lock);                                                        \
    return written;                                                                     \
  }

PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define TRUNCATE(name, length_type)                      \
  int name(int descriptor, length_type length) {         \
    int file = recorded(descriptor);                     \
    if (!file) return REAL(name)(descriptor, length);    \
    pthread_mutex_lock(&lock);                           \
    int result = REAL(name)(descriptor, length);         \
    if (result == 0) note('T', file, length, "", 0);     \
    pthread_mutex_unlock(&lock);                         \
    return result;                                       \
  }

TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

// A sync covers what was written before it began. It is noted when it has ended; what others wrote meanwhile
// may not be covered, so nobody writes meanwhile.
#define SYNC(name)                                       \
  int name(int descriptor) {                             \
    int file = recorded(descriptor);                     \
    if (!file) return REAL(name)(descriptor);            \
    pthread_mutex_lock(&lock);                           \
    note('S', file, 0, "", 0);                           \
    pthread_mutex_unlock(&lock);                         \
    return 0;                                            \
  }

SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path) {
  int file = known(path);
  if (!file) return REAL(unlink)(path);
  pthread_mutex_lock(&lock);
  int result = REAL(unlink)(path);
  if (result == 0) note('U', file, 0, "", 0);
  pthread_mutex_unlock(&lock);
  return result;
}

ssize_t write(int descriptor, const void *bytes, size_t length) {
  if (descriptor != STDOUT_FILENO || journal() < 0) return REAL(write)(descriptor, bytes, length);
  pthread_mutex_lock(&lock);
  ssize_t written = REAL(write)(descriptor, bytes, length);
  if (written > 0) note('A', 255, 0, bytes, written);
  pthread_mutex_unlock(&lock);
  return written;
}
