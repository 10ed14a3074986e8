// Preloaded into a process, it shifts the wall clock that the process reads by the seconds in the file $LVS_SHIFT_FILE,
// which is read anew every 20 ms. The steady clock stays. Waits until a moment of the wall clock are shifted back: the
// kernel has the real one.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { kEveryMs = 20 };

typedef long (*Call)(long, ...);

static Call RealCall(void) {
  static Call real = NULL;
  if (real == NULL) real = (Call)dlsym(RTLD_NEXT, "syscall");
  return real;
}

static long ShiftSeconds(void) {
  static __thread long read_at_ms = -1;
  static __thread long seconds = 0;
  struct timespec now;
  RealCall()(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  const long ms = now.tv_sec * 1000 + now.tv_nsec / 1000000;
  if (read_at_ms >= 0 && ms - read_at_ms < kEveryMs) return seconds;
  read_at_ms = ms;
  const char* file = getenv("LVS_SHIFT_FILE");
  const int fd = file == NULL ? -1 : open(file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return seconds = 0;
  char text[32] = {0};
  if (read(fd, text, sizeof text - 1) > 0) seconds = strtol(text, NULL, 10);
  close(fd);
  return seconds;
}

int clock_gettime(clockid_t id, struct timespec* time) {
  const int result = (int)RealCall()(SYS_clock_gettime, id, time);
  if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) time->tv_sec += ShiftSeconds();
  return result;
}

int gettimeofday(struct timeval* time, void* zone) {
  (void)zone;
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* seconds) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (seconds != NULL) *seconds = now.tv_sec;
  return now.tv_sec;
}

// Abseil waits with it.
long syscall(long number, ...) {
  long a[6];
  va_list arguments;
  va_start(arguments, number);
  for (int n = 0; n < 6; ++n) a[n] = va_arg(arguments, long);
  va_end(arguments);
  const struct timespec* until = (const struct timespec*)a[3];
  struct timespec shifted;
  if (number == SYS_futex && (a[1] & FUTEX_CLOCK_REALTIME) != 0 && until != NULL) {
    shifted = *until;
    shifted.tv_sec -= ShiftSeconds();
    a[3] = (long)&shifted;
  }
  return RealCall()(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
