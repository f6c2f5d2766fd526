// SPDX-License-Identifier: Apache-2.0
#include "page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct krl_page {
	uv_work_t work;
	char *bpffs;
	size_t top;
	struct krl_snapshot snapshot;
	struct krl_exposition text;
	int err;
	uint64_t began_ns;
	krl_page_fn done;	/* NULL: forgotten */
	void *arg;
};

static void on_work(uv_work_t *work)
{
	struct krl_page *page = work->data;

	page->err = krl_snapshot_read(page->bpffs, page->top, &page->snapshot);
	if (page->err)
		return;
	krl_snapshot_write(&page->snapshot, &page->text);
	krl_snapshot_free(&page->snapshot);
	if (page->text.failed)
		page->err = -ENOMEM;
}

static void free_page(struct krl_page *page)
{
	krl_seen_free(&page->snapshot.agent.cluster);
	free(page->text.text);
	free(page->bpffs);
	free(page);
}

static void on_done(uv_work_t *work, int status)
{
	struct krl_page *page = work->data;
	char *text = page->text.text;

	if (page->done) {
		page->text.text = NULL;
		if (page->err) {
			free(text);
			text = NULL;
		}
		page->done(page->arg, page->text.format, page->err, text, page->text.len, uv_hrtime() - page->began_ns);
	}
	free_page(page);
}

int krl_page_read(uv_loop_t *loop, const char *bpffs, size_t top, const struct krl_metrics_agent *agent,
		  enum krl_exposition_format format, krl_page_fn done, void *arg, struct krl_page **ret)
{
	struct krl_page *page = calloc(1, sizeof(*page));
	struct krl_seen cluster = agent->cluster;

	if (!page) {
		krl_seen_free(&cluster);
		return -ENOMEM;
	}
	page->work.data = page;
	page->bpffs = strdup(bpffs);
	page->top = top;
	page->snapshot.agent = *agent;
	page->text.format = format;
	page->began_ns = uv_hrtime();
	page->done = done;
	page->arg = arg;
	if (!page->bpffs || uv_queue_work(loop, &page->work, on_work, on_done)) {
		free_page(page);
		return -ENOMEM;
	}
	*ret = page;
	return 0;
}

void krl_page_forget(struct krl_page *page)
{
	if (page)
		page->done = NULL;
}
