// SPDX-License-Identifier: Apache-2.0
#include "timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ULL

const char *const krl_timing_bounds[KRL_TIMING_BUCKETS - 1] = {
	"0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0",
};

void krl_timing_add(struct krl_timing *timing, uint64_t took_ns)
{
	size_t i;

	for (i = 0; i < KRL_TIMING_BUCKETS - 1; i++)
		if ((double)took_ns <= strtod(krl_timing_bounds[i], NULL) * NS_PER_S)
			break;
	timing->buckets[i]++;
	timing->sum_ns += took_ns;
}

static double share(uint64_t from_ns, uint64_t to_ns, double whole_ns)
{
	return to_ns > from_ns ? (double)(to_ns - from_ns) / whole_ns : 0;
}

void krl_overhead_update(struct krl_overhead *overhead, const struct krl_overhead_sample *sample, unsigned int cpus)
{
	const struct krl_overhead_sample *last = &overhead->last;
	double whole_ns = (double)(sample->at_ns - last->at_ns) * cpus;

	overhead->agent = overhead->programs = -1;
	if (last->at_ns && whole_ns > 0)
		overhead->agent = share(last->agent_ns, sample->agent_ns, whole_ns);
	if (last->at_ns && whole_ns > 0 && last->measured && sample->measured)
		overhead->programs = share(last->programs_ns, sample->programs_ns, whole_ns);
	overhead->last = *sample;
}

static uint64_t ns_of(const struct timeval *time)
{
	return time->tv_sec * NS_PER_S + time->tv_usec * 1000ULL;
}

/* The number @at, from 1 on, of the line of /proc/self/@name; behind the name of the program, which may hold blanks. */
static unsigned long long read_number(const char *name, int at)
{
	char path[64], line[1024] = "", *rest, *word;
	FILE *file;
	size_t got;

	snprintf(path, sizeof(path), "/proc/self/%s", name);
	file = fopen(path, "re");
	if (!file)
		return 0;
	got = fread(line, 1, sizeof(line) - 1, file);
	fclose(file);
	line[got] = '\0';
	rest = strrchr(line, ')') ? strrchr(line, ')') + 1 : line;
	while ((word = strsep(&rest, " \n")))
		if (*word && !--at)
			return strtoull(word, NULL, 10);
	return 0;
}

/* Field 22 of /proc/self/stat is when the process was started, in ticks since boot (proc(5)); field 2 is its name. */
static int64_t start_ms(void)
{
	unsigned long long ticks = read_number("stat", 20), per_s = sysconf(_SC_CLK_TCK);
	struct timespec real, boot;

	if (!ticks || !per_s)
		return 0;
	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (real.tv_sec - boot.tv_sec) * 1000LL + (real.tv_nsec - boot.tv_nsec) / 1000000 +
	       (int64_t)(ticks * 1000 / per_s);
}

void krl_process_read(struct krl_process *ret)
{
	struct rusage usage;

	*ret = (struct krl_process){ 0 };
	if (!getrusage(RUSAGE_SELF, &usage))
		ret->cpu_ns = ns_of(&usage.ru_utime) + ns_of(&usage.ru_stime);
	ret->resident_bytes = read_number("statm", 2) * sysconf(_SC_PAGESIZE);
	ret->start_ms = start_ms();
}
