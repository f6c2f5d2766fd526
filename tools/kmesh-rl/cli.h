/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands share. A command prints its result on stdout and messages on stderr. */
#ifndef KMESH_RL_TOOL_CLI_H
#define KMESH_RL_TOOL_CLI_H

#include <jansson.h>

#include "options.h"

#define KRL_CLI_NAMESPACE "default"

enum krl_cli_exit { KRL_CLI_GOOD, KRL_CLI_FAILED, KRL_CLI_USAGE };

enum krl_cli_output { KRL_CLI_TABLE, KRL_CLI_WIDE, KRL_CLI_JSON, KRL_CLI_YAML };

/* The command line, parsed. */
struct krl_cli {
	const char *bpffs;		/* NULL: not given */
	const char *control_socket;	/* NULL: not given */
	const char *ns;			/* NULL: not given */
	bool all_namespaces;
	bool help;
	bool version;			/* --version */
	bool running;			/* an agent has to answer */
	int output;			/* enum krl_cli_output */
	const char *limit;		/* of rows; NULL: not given */
	bool cluster;			/* what all nodes counted */
	bool watch;			/* show it again and again */
	bool follow;			/* go on with what comes */
	const char *interval;		/* ... this often; NULL: not given */
	const char *sort;		/* the column; NULL: not given */
	const char *rule, *descriptor;	/* whose buckets; NULL: not given */
	struct krl_cli_list files;	/* of -f */
	const char *method, *path;	/* of a request that is asked about; NULL: not given */
	const char *model, *source, *pod, *endpoint, *at;
	struct krl_cli_list headers;
	bool live;
	struct krl_cli_list words;	/* after the command */
};

struct krl_cli_command {
	const char *name;		/* NULL ends a table */
	const char *arguments;		/* for the usage line */
	const char *help;
	enum krl_cli_exit (*run)(const struct krl_cli *cli);
	const struct krl_cli_option *options;
	const char *subjects;		/* what its first word may be, separated by spaces; NULL: none of a few */
	bool names;			/* the word after that, or the first one, is the name of a rate limit */
};

extern const struct krl_cli_command krl_cli_commands[];
extern const struct krl_cli_option krl_cli_global_options[];	/* before or after any command */
extern const struct krl_cli_option krl_cli_lead_options[];	/* before any command alone */

/* NULL: there is none. */
const struct krl_cli_command *krl_cli_find_command(const char *name);

/* Say which one may have been meant, on stderr. */
enum krl_cli_exit krl_cli_unknown_command(const char *name);

void krl_cli_print_overview(FILE *out);
void krl_cli_print_help(const struct krl_cli_command *command);

extern const struct krl_cli_option krl_cli_check_options[], krl_cli_convert_options[], krl_cli_describe_options[],
	krl_cli_diagnose_options[], krl_cli_events_options[], krl_cli_get_options[], krl_cli_reset_options[], krl_cli_top_options[], krl_cli_validate_options[], krl_cli_version_options[];
extern const struct krl_cli_option krl_cli_no_options[];

enum krl_cli_exit krl_cli_check(const struct krl_cli *cli);
enum krl_cli_exit krl_cli_completion(const struct krl_cli *cli);
enum krl_cli_exit krl_cli_convert(const struct krl_cli *cli);
enum krl_cli_exit krl_cli_describe(const struct krl_cli *cli);
enum krl_cli_exit krl_cli_diagnose(const struct krl_cli *cli);
enum krl_cli_exit krl_cli_events(const struct krl_cli *cli);
enum krl_cli_exit krl_cli_get(const struct krl_cli *cli);
enum krl_cli_exit krl_cli_help(const struct krl_cli *cli);
enum krl_cli_exit krl_cli_reset(const struct krl_cli *cli);
enum krl_cli_exit krl_cli_top(const struct krl_cli *cli);
enum krl_cli_exit krl_cli_validate(const struct krl_cli *cli);
enum krl_cli_exit krl_cli_version(const struct krl_cli *cli);

/* Print "Error: ..." and return KRL_CLI_FAILED or KRL_CLI_USAGE. */
enum krl_cli_exit krl_cli_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
enum krl_cli_exit krl_cli_misuse(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The statistics as krl_stats_json has them: from the agent, or from the pinned maps when none
 * answers, which is said on stderr. Returns a value that the caller releases, or NULL once the failure
 * is printed. */
json_t *krl_cli_fetch_stats(const struct krl_cli *cli);

/* The same, printing nothing: what there is to say, which may be nothing, is in @ret_said. */
json_t *krl_cli_read_stats(const struct krl_cli *cli, char ret_said[KRL_CLI_ERROR_BYTES]);

/* What the agent knows of the RateLimits, as krl_limits_json() has it. Returns a value that the caller releases, or NULL: it
 * says nothing, which is said on stderr where an agent answers and does not know. */
json_t *krl_cli_fetch_limits(const struct krl_cli *cli);

/* Does the agent have a RateLimit in namespace @ns (NULL: any) that is called @name, in force or not? 1, 0, or as
 * krl_cli_ask_agent(). */
int krl_cli_knows(const struct krl_cli *cli, const char *ns, const char *name);

/* Is @word @resource, or as kubectl has it RESOURCE/NAME? @ret_name is that name then, NULL: there is none. */
bool krl_cli_is_resource(const char *word, const char *resource, const char **ret_name);

/* The namespace whose rate limits are asked for, NULL: any. */
const char *krl_cli_namespace(const struct krl_cli *cli);

/* How often something is shown again, in ms, as --interval says. 0, or -EINVAL. */
int krl_cli_interval(const struct krl_cli *cli, unsigned int *ret_ms);

/* Ask the agent; as krl_control_call, with the defaults of the command line. */
int krl_cli_ask_agent(const struct krl_cli *cli, const char *method, const json_t *params, json_t **ret_result,
		      char *ret_error);

/* Write @value to @out as @output says, JSON or YAML. Returns 0 or -ENOMEM. */
int krl_cli_write(const json_t *value, enum krl_cli_output output, FILE *out);

/* The items of @stats in namespace @ns (NULL: any) that are called @name (NULL: any), with the reasons.
 * A new reference, or NULL without memory or when @stats is not what krl_stats_json makes. */
json_t *krl_cli_select(json_t *stats, const char *ns, const char *name);

/* Print the items of @stats as a table; @wide: with more columns, and the reasons that were counted. Returns 0 or -ENOMEM. */
int krl_cli_print_stats(const json_t *stats, bool wide, FILE *out);

/* Show the rate limits in namespace @ns (NULL: any) that are called @name (NULL: any), as the agent has them, or the pinned
 * maps. */
enum krl_cli_exit krl_cli_get_limits(const struct krl_cli *cli, const char *ns, const char *name);

/* Show the buckets of the rate limits in namespace @ns (NULL: any) that are called @name (NULL: any), from the
 * pinned maps. */
enum krl_cli_exit krl_cli_get_buckets(const struct krl_cli *cli, const char *ns, const char *name);

/* The same with what the answers of model servers used. */
enum krl_cli_exit krl_cli_get_tokens(const struct krl_cli *cli, const char *ns, const char *name);

/* Show what all nodes counted of rules of the cluster, of the rate limits in namespace @ns (NULL: any) that are called @name
 * (NULL: any). */
enum krl_cli_exit krl_cli_get_cluster(const struct krl_cli *cli, const char *ns, const char *name);

/* Say that there is no rate limit: an error when a @name was asked for. @ns, @name: NULL is any. */
enum krl_cli_exit krl_cli_none_found(const struct krl_cli *cli, const char *ns, const char *name);

#endif
