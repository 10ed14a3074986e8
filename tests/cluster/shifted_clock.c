// Preloaded into a process, it shifts the wall clock that the process reads by the seconds in the file $LVS_SHIFT_FILE,
// which is read anew every 20 ms. The steady clock stays.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { kEveryMs = 20 };

static long ShiftSeconds(void) {
  static __thread long read_at_ms = -1;
  static __thread long seconds = 0;
  struct timespec now;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
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
  const int result = (int)syscall(SYS_clock_gettime, id, time);
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
