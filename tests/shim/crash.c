/* Ends the process it is preloaded into at a chosen system call, and can take back what was not synced, as a power cut does.
 *
 * SIGKILL alone leaves the page cache, so it cannot show a missing fsync. With CRASH_POWER=1 every change of a file in
 * CRASH_FOLDER since the file's last sync is undone before the process dies.
 *
 *   CRASH_FOLDER    changes of the files below this folder are watched
 *   CRASH_CALL      sync, write (to a watched file) or send (to a socket): which calls are counted towards CRASH_AT
 *   CRASH_AT        the process dies at this one of them, from 1; 0 or nothing: it lives
 *   CRASH_WHEN      before or after the call (before by default)
 *   CRASH_POWER     1 undoes what was not synced
 *   CRASH_COUNTERS  a file of three 64-bit numbers that always hold how many syncs, writes and sends there were
 *
 * Files named *-shm are not watched: they are memory that processes share, and are rebuilt from the others. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum call { SYNC, WRITE, SEND, CALLS };

/* One piece of a file as it was before it was overwritten. */
struct undo {
    struct undo *before;
    off_t offset;
    size_t length;
    char bytes[];
};

/* A watched file: what it was at its last sync. */
struct file {
    struct file *next;
    dev_t device;
    ino_t inode;
    int watched;
    int changed;
    int descriptor;
    off_t size;
    struct undo *undo;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *files;
static char folder[4096];
static enum call counted = CALLS;
static uint64_t at;
static int after;
static int power;
static uint64_t own_counters[CALLS];
static uint64_t *counters = own_counters;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_send)(int, const void *, size_t, int);
static ssize_t (*real_sendto)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
static ssize_t (*real_sendmsg)(int, const struct msghdr *, int);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);

static void *named(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) {
        static const char message[] = "crash shim: the C library lacks a call\n";
        syscall(SYS_write, 2, message, sizeof message - 1);
        _exit(127);
    }
    return found;
}

static void share_counters(const char *path)
{
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0 || real_ftruncate(descriptor, sizeof own_counters) != 0)
        return;
    void *shared = mmap(NULL, sizeof own_counters, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (shared != MAP_FAILED)
        counters = shared;
}

__attribute__((constructor)) static void start(void)
{
    real_write = named("write");
    real_pwrite = named("pwrite64");
    real_writev = named("writev");
    real_send = named("send");
    real_sendto = named("sendto");
    real_sendmsg = named("sendmsg");
    real_fsync = named("fsync");
    real_fdatasync = named("fdatasync");
    real_ftruncate = named("ftruncate64");
    const char *text = getenv("CRASH_FOLDER");
    if (text && !realpath(text, folder))
        snprintf(folder, sizeof folder, "%s", text);
    text = getenv("CRASH_CALL");
    if (text)
        counted = !strcmp(text, "sync") ? SYNC : !strcmp(text, "write") ? WRITE : !strcmp(text, "send") ? SEND : CALLS;
    text = getenv("CRASH_AT");
    at = text ? strtoull(text, NULL, 10) : 0;
    text = getenv("CRASH_WHEN");
    after = text && !strcmp(text, "after");
    text = getenv("CRASH_POWER");
    power = text && !strcmp(text, "1");
    text = getenv("CRASH_COUNTERS");
    if (text)
        share_counters(text);
}

static int is_below_folder(int descriptor)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    size_t prefix = strlen(folder);
    if (length <= 0 || prefix == 0)
        return 0;
    path[length] = 0;
    int is_shared_memory = length > 4 && !strcmp(path + length - 4, "-shm");
    return !strncmp(path, folder, prefix) && path[prefix] == '/' && !is_shared_memory;
}

/* The watched file of a descriptor, or NULL. The lock is held. */
static struct file *file_of(int descriptor)
{
    struct stat now;
    if (syscall(SYS_fstat, descriptor, &now) != 0 || !S_ISREG(now.st_mode))
        return NULL;
    for (struct file *file = files; file; file = file->next)
        if (file->device == now.st_dev && file->inode == now.st_ino)
            return file->watched ? file : NULL;
    struct file *file = calloc(1, sizeof *file);
    if (!file)
        return NULL;
    file->device = now.st_dev;
    file->inode = now.st_ino;
    file->watched = is_below_folder(descriptor);
    file->descriptor = -1;
    file->next = files;
    files = file;
    return file->watched ? file : NULL;
}

/* Remembers the size at the last sync, before the first change after it. */
static void begin_change(struct file *file, int descriptor)
{
    struct stat now;
    if (file->changed)
        return;
    file->size = syscall(SYS_fstat, descriptor, &now) == 0 ? now.st_size : 0;
    if (file->descriptor < 0) {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
        file->descriptor = open(link, O_RDWR | O_CLOEXEC);
    }
    file->changed = 1;
}

/* Keeps what is about to be overwritten. */
static void keep(struct file *file, int descriptor, off_t offset, size_t length)
{
    if (!power)
        return;
    begin_change(file, descriptor);
    if (offset >= file->size || file->descriptor < 0)
        return;
    if ((off_t)length > file->size - offset)
        length = (size_t)(file->size - offset);
    struct undo *undo = malloc(sizeof *undo + length);
    if (!undo)
        return;
    ssize_t got = pread(file->descriptor, undo->bytes, length, offset);
    undo->offset = offset;
    undo->length = got > 0 ? (size_t)got : 0;
    undo->before = file->undo;
    file->undo = undo;
}

static void forget(struct file *file)
{
    while (file->undo) {
        struct undo *undo = file->undo;
        file->undo = undo->before;
        free(undo);
    }
    file->changed = 0;
}

/* The end. The lock is held, so that nobody changes a file any more. */
static void crash(void)
{
    for (struct file *file = files; power && file; file = file->next) {
        if (!file->changed || file->descriptor < 0)
            continue;
        for (struct undo *undo = file->undo; undo; undo = undo->before)
            if (real_pwrite(file->descriptor, undo->bytes, undo->length, undo->offset) < 0)
                break;
        if (real_ftruncate(file->descriptor, file->size) != 0)
            continue;
    }
    for (;;)
        kill(getpid(), SIGKILL);
}

/* Counts a call; true if it is the one to die at. The lock is held. */
static int is_last(enum call call)
{
    uint64_t count = __atomic_add_fetch(&counters[call], 1, __ATOMIC_RELAXED);
    return call == counted && at != 0 && count >= at;
}

static ssize_t changed(int descriptor, off_t offset, size_t length, ssize_t (*act)(void *), void *call)
{
    pthread_mutex_lock(&lock);
    struct file *file = file_of(descriptor);
    int last = 0;
    if (file) {
        last = is_last(WRITE);
        if (last && !after)
            crash();
        keep(file, descriptor, offset, length);
    }
    ssize_t done = act(call);
    int error = errno;
    if (last)
        crash();
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

struct plain {
    int descriptor;
    const void *bytes;
    size_t length;
    off_t offset;
};

static ssize_t act_write(void *call)
{
    struct plain *plain = call;
    return real_write(plain->descriptor, plain->bytes, plain->length);
}

static ssize_t act_pwrite(void *call)
{
    struct plain *plain = call;
    return real_pwrite(plain->descriptor, plain->bytes, plain->length, plain->offset);
}

static ssize_t act_ftruncate(void *call)
{
    struct plain *plain = call;
    return real_ftruncate(plain->descriptor, plain->offset);
}

static int is_socket(int descriptor)
{
    struct stat now;
    return syscall(SYS_fstat, descriptor, &now) == 0 && S_ISSOCK(now.st_mode);
}

static int is_file(int descriptor)
{
    struct stat now;
    return syscall(SYS_fstat, descriptor, &now) == 0 && S_ISREG(now.st_mode);
}

/* Before and after something is sent. */
static int sends(int descriptor)
{
    if (!is_socket(descriptor))
        return 0;
    pthread_mutex_lock(&lock);
    int last = is_last(SEND);
    if (last && !after)
        crash();
    pthread_mutex_unlock(&lock);
    return last;
}

static ssize_t sent(int last, ssize_t done)
{
    if (last) {
        pthread_mutex_lock(&lock);
        crash();
    }
    return done;
}

ssize_t write(int descriptor, const void *bytes, size_t length)
{
    if (is_file(descriptor)) {
        struct plain call = {descriptor, bytes, length, 0};
        int flags = fcntl(descriptor, F_GETFL);
        off_t offset = lseek(descriptor, 0, flags >= 0 && flags & O_APPEND ? SEEK_END : SEEK_CUR);
        return changed(descriptor, offset < 0 ? 0 : offset, length, act_write, &call);
    }
    int last = sends(descriptor);
    return sent(last, real_write(descriptor, bytes, length));
}

ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t offset)
{
    struct plain call = {descriptor, bytes, length, offset};
    return changed(descriptor, offset, length, act_pwrite, &call);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off_t offset)
{
    return pwrite(descriptor, bytes, length, offset);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count)
{
    if (is_file(descriptor)) {
        ssize_t whole = 0;
        for (int part = 0; part < count; part++) {
            ssize_t done = write(descriptor, parts[part].iov_base, parts[part].iov_len);
            if (done < 0)
                return whole ? whole : done;
            whole += done;
            if ((size_t)done < parts[part].iov_len)
                break;
        }
        return whole;
    }
    int last = sends(descriptor);
    return sent(last, real_writev(descriptor, parts, count));
}

ssize_t send(int descriptor, const void *bytes, size_t length, int flags)
{
    int last = sends(descriptor);
    return sent(last, real_send(descriptor, bytes, length, flags));
}

ssize_t sendto(int descriptor, const void *bytes, size_t length, int flags, const struct sockaddr *to, socklen_t size)
{
    int last = sends(descriptor);
    return sent(last, real_sendto(descriptor, bytes, length, flags, to, size));
}

ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags)
{
    int last = sends(descriptor);
    return sent(last, real_sendmsg(descriptor, message, flags));
}

int ftruncate(int descriptor, off_t size)
{
    struct plain call = {descriptor, NULL, 0, size};
    struct stat now;
    off_t length = fstat(descriptor, &now) == 0 && now.st_size > size ? now.st_size - size : 0;
    return (int)changed(descriptor, size, (size_t)length, act_ftruncate, &call);
}

int ftruncate64(int descriptor, off_t size)
{
    return ftruncate(descriptor, size);
}

static int synced(int descriptor, int (*act)(int))
{
    pthread_mutex_lock(&lock);
    struct file *file = file_of(descriptor);
    int last = file && is_last(SYNC);
    if (last && !after)
        crash();
    int done = act(descriptor);
    int error = errno;
    if (file && done == 0)
        forget(file);
    if (last)
        crash();
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int fsync(int descriptor)
{
    return synced(descriptor, real_fsync);
}

int fdatasync(int descriptor)
{
    return synced(descriptor, real_fdatasync);
}
