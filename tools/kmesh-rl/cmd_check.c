// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl check */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <kmesh_rl/pins.h>

#include "agent/base/clock.h"
#include "agent/base/vec.h"
#include "agent/control/methods.h"
#include "agent/datapath/live.h"
#include "agent/policy/decode_kinds.h"
#include "check_view.h"
#include "files.h"
#include "pod_file.h"

#define DEFAULT_METHOD "GET"
#define MODEL_METHOD "POST"
#define DEFAULT_PATH "/"
#define DEFAULT_SOURCE "127.0.0.1"

static const struct krl_cli_choice outputs[] = {
	{ "table", KRL_CLI_TABLE }, { "json", KRL_CLI_JSON }, { "yaml", KRL_CLI_YAML }, { NULL, 0 },
};

const struct krl_cli_option krl_cli_check_options[] = {
	{ 'f', "filename", "FILE|DIR|-", "the documents; may be given several times", KRL_CLI_LIST,
	  offsetof(struct krl_cli, files), NULL },
	{ 0, "method", "METHOD", "of the request (" DEFAULT_METHOD ", with --model " MODEL_METHOD ")", KRL_CLI_TEXT,
	  offsetof(struct krl_cli, method), NULL },
	{ 0, "path", "PATH", "of the request, with its query (" DEFAULT_PATH ")", KRL_CLI_TEXT,
	  offsetof(struct krl_cli, path), NULL },
	{ 0, "header", "'NAME: VALUE'", "of the request; may be given several times", KRL_CLI_LIST,
	  offsetof(struct krl_cli, headers), NULL },
	{ 0, "model", "NAME", "that the body of the request asks a model server for", KRL_CLI_TEXT,
	  offsetof(struct krl_cli, model), NULL },
	{ 0, "source", "ADDRESS", "where the connection comes from (" DEFAULT_SOURCE ")", KRL_CLI_TEXT,
	  offsetof(struct krl_cli, source), NULL },
	{ 0, "pod", "FILE", "the pod that connects, as kubectl get pod NAME -o json has it", KRL_CLI_TEXT,
	  offsetof(struct krl_cli, pod), NULL },
	{ 0, "endpoint", "IP:PORT|NAME", "where it goes: an address or a service; else all",
	  KRL_CLI_TEXT, offsetof(struct krl_cli, endpoint), NULL },
	{ 0, "at", "TIME", "when it comes, as 2026-03-29T02:30:00+01:00; else now", KRL_CLI_TEXT,
	  offsetof(struct krl_cli, at), NULL },
	{ 0, "live", NULL, "show the tokens left in the bucket, from the pinned maps",
	  KRL_CLI_SWITCH, offsetof(struct krl_cli, live), NULL },
	{ 'o', "output", "FORMAT", "table (default), json or yaml", KRL_CLI_CHOICE,
	  offsetof(struct krl_cli, output), outputs },
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

/* Everything that an answer is made of. */
struct check {
	const struct krl_cli *cli;
	struct krl_store *store;
	struct krl_plan plan;
	struct krl_check_request *request;
	struct krl_cli_pod pod;
	/* --endpoint: an address, with the endpoint of the plan that it belongs to; else a service,
	 * or all. */
	bool at_address;
	const struct krl_plan_endpoint *endpoint;
	__u64 hash_key[2];
	struct krl_cli_check_result result;
};

/* "10.0.0.1:80" or "[::1]:80". 0, or -EINVAL. */
static int parse_endpoint(const char *text, struct krl_endpoint_key *ret)
{
	const char *colon = strrchr(text, ':');
	bool bracket = *text == '[';
	size_t len = colon ? (size_t)(colon - text) : 0;
	char address[KRL_CLI_ERROR_BYTES], *end;
	unsigned long port;

	if (!len || len >= sizeof(address) || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	if (bracket && (len < 2 || text[len - 1] != ']'))
		return -EINVAL;
	snprintf(address, sizeof(address), "%.*s", (int)(bracket ? len - 2 : len), text + bracket);
	port = strtoul(colon + 1, &end, 10);
	memset(ret, 0, sizeof(*ret));
	ret->port = port;
	if (*end || !port || port > UINT16_MAX || bracket != !!strchr(address, ':'))
		return -EINVAL;
	return krl_address_parse(address, ret->addr);
}

static const struct krl_plan_endpoint *find_key(const struct krl_plan *plan,
						const struct krl_endpoint_key *key)
{
	size_t i;

	for (i = 0; i < plan->endpoint_count; i++)
		if (!memcmp(&plan->endpoints[i].key, key, sizeof(*key)))
			return &plan->endpoints[i];
	return NULL;
}

/* The endpoint that a connection to @key belongs to, as krl_find_endpoint() finds it. */
static const struct krl_plan_endpoint *find_endpoint(const struct krl_plan *plan,
						     const struct krl_endpoint_key *key)
{
	const struct krl_plan_endpoint *found = find_key(plan, key);
	struct krl_endpoint_key wide;
	enum krl_scope scope;

	for (scope = KRL_SCOPE_ANY_IPV4; scope <= KRL_SCOPE_ANY && !found; scope++)
		if (krl_plan_widen(key, scope, &wide))
			found = find_key(plan, &wide);
	return found;
}

static bool is_service(const char *service, const char *name)
{
	size_t len = strlen(name);

	return *service && !strncmp(service, name, len) && (!service[len] || service[len] == ':');
}

/* Is rule @number of the plan asked about? Fills in where the bucket of @row is. */
static bool is_asked(const struct check *c, size_t number, struct krl_cli_check_row *row)
{
	__u32 count = c->endpoint ? c->endpoint->rule_count + c->endpoint->outside_count : 0, i;

	row->anywhere = !c->at_address;
	if (!c->at_address)
		return !c->cli->endpoint || is_service(row->rule->service, c->cli->endpoint);
	for (i = 0; i < count; i++) {
		if (c->endpoint->rules[i] != number)
			continue;
		row->at = c->endpoint->key;
		if (c->endpoint->scopes[i] != KRL_SCOPE_EXACT)
			krl_plan_widen(&c->endpoint->key, c->endpoint->scopes[i], &row->at);
		return true;
	}
	return false;
}

/* Append the rules of one target, from number @first of the plan on, tier after tier, those of none last. */
static int add_rows(struct check *c, size_t first, size_t count, struct krl_check_verdict *verdicts)
{
	struct krl_cli_check_row row = {}, *added;
	size_t tier, i;

	for (tier = 1; tier <= count + 1; tier++) {
		for (i = 0; i < count; i++) {
			row.rule = &c->plan.rules[first + i];
			/* One that was appended already has left its place empty. */
			if (!verdicts[i].why || verdicts[i].tier != tier % (count + 1) ||
			    !is_asked(c, first + i, &row))
				continue;
			added = krl_vec_add(&c->result.rows, &c->result.count);
			if (!added)
				return -ENOMEM;
			*added = row;
			added->verdict = verdicts[i];
			verdicts[i] = (struct krl_check_verdict){ 0 };
		}
	}
	return 0;
}

static const struct krl_policy *policy_of(const struct krl_plan *plan, __u64 key)
{
	size_t i;

	for (i = 0; key && i < plan->policy_count; i++)
		if (plan->policies[i].key == key)
			return plan->policies[i].policy;
	return NULL;
}

/* The policy of the endpoint in question, else of the first one where rule @number of the plan is. NULL: none. */
static const struct krl_policy *shared_policy(const struct check *c, size_t number)
{
	const struct krl_plan_endpoint *endpoint = c->endpoint;
	size_t i;
	__u32 k;

	for (i = 0; i < c->plan.endpoint_count && !endpoint; i++)
		for (k = 0; k < c->plan.endpoints[i].rule_count; k++)
			if (c->plan.endpoints[i].rules[k] == number)
				endpoint = &c->plan.endpoints[i];
	return endpoint ? policy_of(&c->plan, endpoint->policy) : NULL;
}

/* The rules of a target stand together in the plan, in the order of the document. */
static enum krl_cli_exit check_target(struct check *c, size_t first, size_t *ret_count)
{
	const struct krl_plan_rule *rule = &c->plan.rules[first];
	struct krl_check_verdict verdicts[KRL_MAX_ENDPOINT_RULES] = { 0 };
	const struct krl_rate_limit *limit;
	const struct krl_target *target = krl_store_target(c->store, rule, &limit);
	const char *what;
	size_t i;
	int err;

	*ret_count = target->rule_count;
	err = krl_check_target(c->request, limit, target, shared_policy(c, first), c->hash_key, verdicts, &what);
	if (err == -ENOSPC)
		return krl_cli_fail("RateLimit %s/%s: too many %s on one endpoint", rule->ns,
				    rule->name, what);
	if (!err)
		err = add_rows(c, first, target->rule_count, verdicts);
	for (i = 0; i < target->rule_count; i++)
		krl_check_verdict_clear(&verdicts[i]);
	return err ? krl_cli_fail("%s", strerror(-err)) : KRL_CLI_GOOD;
}

/* Note the endpoints in question that refuse what cannot have a bucket of its own. */
static int find_refusing(struct check *c)
{
	struct krl_endpoint_key *added;
	size_t i;

	for (i = 0; i < c->plan.endpoint_count; i++) {
		const struct krl_plan_endpoint *endpoint = &c->plan.endpoints[i];
		const struct krl_policy *policy = policy_of(&c->plan, endpoint->policy);

		if ((c->at_address && endpoint != c->endpoint) || !policy ||
		    !(endpoint->flags & KRL_ENDPOINT_FAIL_CLOSED) ||
		    !krl_check_ambiguous(c->request, policy))
			continue;
		added = krl_vec_add(&c->result.refusing, &c->result.refusing_count);
		if (!added)
			return -ENOMEM;
		*added = endpoint->key;
	}
	return 0;
}

static const struct krl_stats_row *find_stats(const struct krl_stats *stats,
					      const struct krl_plan_rule *rule)
{
	size_t i;

	for (i = 0; i < stats->count; i++) {
		const struct krl_rule_info *info = &stats->rows[i].info;

		if (!strcmp(info->ns, rule->ns) && !strcmp(info->name, rule->name) &&
		    !strcmp(info->service, rule->service) && !strcmp(info->rule, rule->rule))
			return &stats->rows[i];
	}
	return NULL;
}

/* Look what is left for the rules that count, in those of @stats. */
static int read_left(struct krl_cli_check_result *result, const struct krl_stats *stats,
		     const char *bpffs)
{
	struct krl_live_bucket *buckets = calloc(result->count + 1, sizeof(*buckets)), *bucket;
	const struct krl_stats_row *in_force;
	size_t count = 0, i;
	int err;

	if (!buckets)
		return -ENOMEM;
	for (i = 0; i < result->count; i++) {
		struct krl_cli_check_row *row = &result->rows[i];

		if (!row->verdict.counts)
			continue;
		in_force = find_stats(stats, row->rule);
		row->left = in_force ? KRL_CLI_LEFT_FULL : KRL_CLI_LEFT_NOTHING;
		if (!in_force)
			continue;
		row->available = (__s64)in_force->settings.max_tokens;
		bucket = &buckets[count++];
		*bucket = (struct krl_live_bucket){
			.slot = in_force->slot, .rule_id = in_force->id,
			.settings = in_force->settings,
			.anywhere = row->anywhere, .at = row->at, .tag = i,
		};
		memcpy(bucket->descriptor, row->verdict.descriptor, sizeof(bucket->descriptor));
	}
	err = krl_live_read(bpffs, buckets, count);
	for (i = 0; i < count && !err; i++) {
		if (!buckets[i].found)
			continue;
		result->rows[buckets[i].tag].left = KRL_CLI_LEFT_TOKENS;
		result->rows[buckets[i].tag].available = buckets[i].available;
	}
	free(buckets);
	return err;
}

/* Judge by every target of the plan. */
static enum krl_cli_exit evaluate(struct check *c, const struct krl_stats *stats, const char *bpffs)
{
	enum krl_cli_exit status = KRL_CLI_GOOD;
	char why[KRL_CLI_ERROR_BYTES];
	size_t at, count;
	int err;

	for (at = 0; at < c->plan.rule_count && !status; at += count)
		status = check_target(c, at, &count);
	if (status)
		return status;
	if (c->cli->endpoint && !c->at_address && !c->result.count)
		return krl_cli_fail("no rate limit is for a service \"%s\"", c->cli->endpoint);
	err = find_refusing(c);
	if (err)
		return krl_cli_fail("%s", strerror(-err));
	err = c->cli->live ? read_left(&c->result, stats, bpffs) : 0;
	if (err) {
		krl_stats_explain(err, bpffs, why, sizeof(why));
		return krl_cli_fail("%s", why);
	}
	err = krl_cli_check_print(&c->result, c->cli->live, c->cli->output, stdout);
	return err ? krl_cli_fail("%s", strerror(-err)) : KRL_CLI_GOOD;
}

static enum krl_cli_exit check_live(struct check *c)
{
	const char *bpffs = c->cli->bpffs ? c->cli->bpffs : KRL_DEFAULT_BPFFS;
	char why[KRL_CLI_ERROR_BYTES];
	struct krl_stats stats = {};
	enum krl_cli_exit status;
	int err = 0;

	if (c->cli->live)
		err = krl_live_hash_key(bpffs, c->hash_key);
	if (c->cli->live && !err)
		err = krl_stats_read(bpffs, &stats);
	if (err) {
		krl_stats_explain(err, bpffs, why, sizeof(why));
		return krl_cli_fail("%s", why);
	}
	status = evaluate(c, &stats, bpffs);
	krl_stats_free(&stats);
	return status;
}

/* The plan of all that is given. What is refused is said, and the rest is answered for. */
static enum krl_cli_exit read_plan(struct check *c, int64_t now_s)
{
	struct krl_diags errors = {}, notes = {};
	enum krl_cli_exit status;
	size_t i;
	int err;

	status = krl_cli_read_files(&c->cli->files, c->store, &errors);
	err = krl_store_compile(c->store, now_s, &c->plan, &errors, &notes);
	if (err)
		status = krl_cli_fail("%s", strerror(-err));
	for (i = 0; i < errors.count; i++)
		fprintf(stderr, "%s\n", errors.lines[i]);
	for (i = 0; i < notes.count; i++)
		fprintf(stderr, "%s\n", notes.lines[i]);
	if (errors.count)
		status = KRL_CLI_FAILED;
	krl_diags_clear(&errors);
	krl_diags_clear(&notes);
	return status;
}

static enum krl_cli_exit malformed(const struct krl_cli *cli,
				   const struct krl_check_question *question, size_t line)
{
	if (!line)
		return krl_cli_misuse("\"%s %s\" begins no request: it is answered with 400",
				      question->method, question->target);
	if (line > cli->headers.count)
		return krl_cli_misuse("the headers contradict one another: such a request is "
				      "answered with 400");
	return krl_cli_misuse("--header \"%s\": expected NAME: VALUE, as a request has it that is "
			      "not answered with 400", cli->headers.words[line - 1]);
}

/* The request that the flags describe; the caller frees *@ret. */
static enum krl_cli_exit ask(const struct krl_cli *cli, const struct krl_pod *pod,
			     struct krl_check_question *ret_question, struct krl_check_request **ret)
{
	const char *source = cli->source ? cli->source : DEFAULT_SOURCE;
	size_t line;
	int err;

	*ret_question = (struct krl_check_question){
		.method = cli->method ? cli->method : cli->model ? MODEL_METHOD : DEFAULT_METHOD,
		.target = cli->path ? cli->path : DEFAULT_PATH,
		.headers = cli->headers.words,
		.header_count = cli->headers.count,
		.model = cli->model,
		.pod = cli->pod ? pod : NULL,
	};
	if (krl_address_parse(source, ret_question->source))
		return krl_cli_misuse("--source \"%s\": expected an IPv4 or IPv6 address", source);
	krl_clock_read(NULL, &ret_question->now_s);
	if (cli->at && krl_time_parse(cli->at, &ret_question->now_s))
		return krl_cli_misuse("--at \"%s\": expected a time such as 2026-03-29T02:30:00+01:00", cli->at);
	err = krl_check_request(ret_question, ret, &line);
	if (err == -EINVAL)
		return malformed(cli, ret_question, line);
	return err ? krl_cli_fail("%s", strerror(-err)) : KRL_CLI_GOOD;
}

enum krl_cli_exit krl_cli_check(const struct krl_cli *cli)
{
	struct krl_check_question question;
	struct check c = { .cli = cli };
	enum krl_cli_exit status, answered;
	struct krl_endpoint_key key;

	if (cli->words.count)
		return krl_cli_misuse("check takes the documents with -f: -f %s",
				      cli->words.words[0]);
	status = krl_cli_require_files(&cli->files, "check");
	if (!status && cli->pod)
		status = krl_cli_read_pod(cli->pod, &c.pod);
	if (!status)
		status = ask(cli, &c.pod.is, &question, &c.request);
	if (status) {
		krl_cli_clear_pod(&c.pod);
		return status;
	}
	c.store = krl_store_new();
	status = c.store ? read_plan(&c, question.now_s) : krl_cli_fail("out of memory");
	c.at_address = cli->endpoint && !parse_endpoint(cli->endpoint, &key);
	if (c.at_address)
		c.endpoint = find_endpoint(&c.plan, &key);
	answered = c.store ? check_live(&c) : KRL_CLI_GOOD;
	krl_cli_check_clear(&c.result);
	krl_plan_clear(&c.plan);
	krl_store_free(c.store);
	krl_check_free(c.request);
	krl_cli_clear_pod(&c.pod);
	return answered ? answered : status;
}
