-- SPDX-License-Identifier: Apache-2.0
-- One exchange of one holder with a bucket: it tells what became of the tokens that it has, and is lent more. See
-- docs/cluster.md. All numbers are integers below 2^53, which a double holds;
-- times are microseconds of this server's clock.
--
-- KEYS: bucket, shard, spent. ARGV: holder, used, debt, back, want, least, max, fill, interval, seen_epoch, seen_seq,
-- fresh_epoch. least: what is of use, of what is wanted.
-- Returns granted, tokens, out, now, epoch, seq, wait, spent, others: what other holders wanted and did not get.
--
-- bucket: t, tokens that are lent to nobody, negative in debt; out, those that are lent; last, the time of the last
-- fill; wants, the sum of what holders did not get; exp, not after the first end of a holder; floor, the shard's when
-- the bucket was last changed; h:HOLDER, "held:until:want". t + out <= max, and what can be spent is part of out.
-- shard: epoch and seq, by which an agent knows its last exchange again; run, the server that made it; before, whose data
-- that server took over when it became a master; dead, the epoch before the last loss of data; floor, when the loss is over.
-- spent: what all holders used of the rule's buckets in this shard, ever; by which a node knows its share.
local TTL = 3000000
local SPENT_TTL_MS = 600000
local MOST = 9007199254740991

local holder = 'h:' .. ARGV[1]
local used, debt, back = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local want, least = tonumber(ARGV[5]), tonumber(ARGV[6])
local max, fill, interval = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local seen_epoch, seen_seq, fresh_epoch = ARGV[10], tonumber(ARGV[11]), ARGV[12]

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function text(number)
	return string.format('%.0f', number)
end

-- The shard. Leases that a loss made unknown have ended when its floor is reached.
local shard = redis.call('HMGET', KEYS[2], 'epoch', 'seq', 'run', 'dead', 'floor', 'before')
local epoch, seq, dead = shard[1], tonumber(shard[2] or 0), shard[4] or ''
local floor = tonumber(shard[5] or 0)
-- Another server may have started without the last writes, and those who saw them may come later than others.
local function told(section, field, known)
	local info = redis.pcall('INFO', section)
	return type(info) == 'string' and info:match(field .. ':(%x+)') or known
end
local known, known_before = shard[3] or '', shard[6] or ''
local run = told('server', 'run_id', known)
-- One that was a master, a replica and a master again has its run_id still. Its replication id would be another one as well
-- when it gets its first replica, or has had none for an hour; the one before is 0 then.
local before = told('replication', 'master_replid2', known_before)
local promoted = known_before ~= '' and before ~= known_before and before:find('[^0]')

if not epoch then
	epoch = fresh_epoch
	if seen_epoch ~= '' then
		floor, dead = now + TTL, seen_epoch
	end
elseif (known ~= '' and run ~= known) or promoted or (seen_epoch == epoch and seq < seen_seq) then
	floor, dead, epoch = now + TTL, epoch, fresh_epoch
elseif seen_epoch ~= '' and seen_epoch ~= epoch and seen_epoch ~= dead then
	floor, dead = now + TTL, seen_epoch
elseif floor > now + TTL then -- the clock was set back
	floor = now + TTL
end
seq = seq + 1
-- The first to write, and refused before anything is changed if memory is short.
redis.call('HSET', KEYS[2], 'epoch', epoch, 'seq', text(seq), 'run', run, 'before', before, 'dead', dead,
	'floor', text(floor))

-- The bucket. One that is not there is full: it stayed until it had to be.
local bucket = redis.call('HMGET', KEYS[1], 't', 'out', 'last', 'wants', 'exp', 'floor', holder)
local t, out, last = tonumber(bucket[1] or max), tonumber(bucket[2] or 0), tonumber(bucket[3] or now)
local wants, exp = tonumber(bucket[4] or 0), tonumber(bucket[5] or 0)
local held, until_, wanted = 0, 0, 0

local function parse(record)
	local a, b, c = record:match('^(%d+):(%d+):(%d+)$')
	return tonumber(a), tonumber(b), tonumber(c)
end

if tonumber(bucket[6] or 0) ~= floor then
	redis.call('DEL', KEYS[1])
	t, out, wants, exp, last = math.min(t, 0), 0, 0, 0, floor
elseif bucket[7] then
	held, until_, wanted = parse(bucket[7])
end

-- Fill as it would have been filled at each interval's end. What there is no room for is lost.
local function refill(at)
	local fills = math.floor(at / interval) - math.floor(last / interval)
	if fills > 0 then
		t = math.max(t, math.min(t + fills * fill, max - out))
		last = math.floor(at / interval) * interval
	end
end

if now >= floor then
	if last > now then -- the clock was set back: a whole interval is waited for, so that no fill comes twice
		last = math.min(last, (math.floor(now / interval) + 1) * interval)
	end
	-- Nobody knows what a holder that is gone spent: its tokens count as spent when it ends, and the room fills from then.
	if exp > 0 and (now >= exp or exp > now + TTL) then
		local fields, ended = redis.call('HGETALL', KEYS[1]), {}
		exp = 0
		for i = 1, #fields, 2 do
			if fields[i]:sub(1, 2) == 'h:' then
				local h, u, w = parse(fields[i + 1])
				if u > now + TTL then
					u = now + TTL
					redis.call('HSET', KEYS[1], fields[i], text(h) .. ':' .. text(u) .. ':' .. text(w))
				end
				if u <= now then
					ended[#ended + 1] = { u, h, w, fields[i] }
				elseif exp == 0 or u < exp then
					exp = u
				end
			end
		end
		table.sort(ended, function(a, b) return a[1] < b[1] end)
		for _, e in ipairs(ended) do
			refill(e[1])
			out, wants = out - e[2], wants - e[3]
			redis.call('HDEL', KEYS[1], e[4])
			if e[4] == holder then
				held, wanted = 0, 0
			end
		end
	end
	-- Before the report: what it tells may have been spent after the fill.
	refill(now)
end
t = math.min(t, math.max(0, max - out)) -- max may be less than it was

used = math.min(used, held)
held, out = held - used, out - used
back = math.min(back, held)
held, out = held - back, out - back
t = math.max(t - math.max(debt, 0), -MOST)
-- What goes back, and a debt below 0, which is what a reservation did not need: never above what there is room for.
t = math.max(t, math.min(t + back - math.min(debt, 0), max - out))

local granted = 0
if now >= floor then
	local others = wants - wanted
	granted = math.min(want, t)
	if others > 0 then
		granted = math.min(granted, math.max(least, math.floor(t * (want / (want + others)))))
	end
	granted = math.max(granted, 0)
	t, held, out = t - granted, held + granted, out + granted
else
	want = 0
end
wants = wants - wanted + want - granted

if held > 0 or want > granted then
	until_ = now + TTL
	exp = exp == 0 and until_ or math.min(exp, until_)
	redis.call('HSET', KEYS[1], holder, text(held) .. ':' .. text(until_) .. ':' .. text(want - granted))
elseif bucket[7] then
	redis.call('HDEL', KEYS[1], holder)
end
redis.call('HSET', KEYS[1], 't', text(t), 'out', text(out), 'last', text(last), 'wants', text(wants), 'exp', text(exp),
	'floor', text(floor))
-- Until it is full, even if the last holder is never heard of again.
local full = math.max(floor - now, 0) + 2 * TTL + math.ceil((max - t) / fill) * interval
redis.call('PEXPIRE', KEYS[1], text(math.min(math.ceil(full / 1000) + 1, MOST)))


local spent = redis.call('INCRBY', KEYS[3], text(used + math.max(debt, 0)))
redis.call('PEXPIRE', KEYS[3], SPENT_TTL_MS)

return { granted, t, out, now, epoch, seq, math.max(floor - now, 0), spent, wants - (want - granted) }
