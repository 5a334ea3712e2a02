-- The table of leases in Redis: what `routes/` does in memory, as one script, so that each call is one step whoever else calls. The
-- limits stand above this text. KEYS[1] is the prefix, whose braces put all keys into one slot of a cluster. ARGV: which server this is,
-- the verb, the node that calls, a time (tests) or nothing, a name for a new table, and what the verb needs.
--
-- A table is named by an epoch and lives while anybody calls: `meta` ends STILL ms after the last call, and whoever comes then begins
-- another one. It lives at one server: a copy of it, or what was kept over a restart, may lack what was written last, and nobody
-- would notice; so there another one begins, too. All keys have the epoch in their names and end by themselves, so nothing is left of a former table.
--   d:DEVICE lease   t:TOKEN its device   r:DEVICE rooms, 1 joined or 0 kept   w:DEVICE watched users
--   u:USER devices   v:USER watchers   m:ROOM members, each with whom to tell   due, rooms, hidden, off, offn, nodes: as they say
--   q:NODE what a registry must be told, numbered by c:NODE without a gap
local call, prefix, server, verb, node = redis.call, KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local clock = call('TIME')
local real = clock[1] * 1000 + math.floor(clock[2] / 1000)
local meta = call('HMGET', prefix .. 'meta', 'epoch', 'real', 'now', 'server')
local epoch, now = meta[1], 0
if epoch and meta[4] == server then
    -- Time stands still while nobody reaches the table: no lease ends because Redis was away, or because its clock was set.
    now = tonumber(meta[3]) + math.max(0, math.min(real - tonumber(meta[2]), STEP_MAX))
else
    epoch = ARGV[5]
end
if ARGV[4] ~= '' then now = tonumber(ARGV[4]) end
local function number(n) return string.format('%.0f', n) end
call('HSET', prefix .. 'meta', 'epoch', epoch, 'real', number(real), 'now', number(now), 'server', server)
call('PEXPIRE', prefix .. 'meta', STILL)
local E = prefix .. epoch .. ':'
local function keep(key) call('PEXPIRE', key, LONG) end
-- How many were looked at or told in this call, while which nobody else is served.
local work = 0

-- What is told. Registries that are gone are told nothing.
local function queue(to, ...)
    if not call('ZSCORE', E .. 'nodes', to) then return end
    local n = call('INCR', E .. 'c:' .. to)
    call('XADD', E .. 'q:' .. to, 'MAXLEN', '~', QUEUE_MAX, '0-' .. n, ...)
    if n == 1 then
        keep(E .. 'c:' .. to)
        keep(E .. 'q:' .. to)
    end
end
-- A watcher is its token (32 characters) and its node. News has TOLD_MAX of them at most, so that many of it can be read at once.
local function tell(watchers, ...)
    local nodes, tokens = {}, {}
    for _, watcher in ipairs(watchers) do
        local at = string.sub(watcher, 33)
        local list = tokens[at]
        if not list then
            list = {}
            tokens[at], nodes[#nodes + 1] = list, at
        end
        list[#list + 1] = string.sub(watcher, 1, 32)
    end
    work = work + #watchers
    for _, at in ipairs(nodes) do
        local list = tokens[at]
        for i = 1, #list, TOLD_MAX do
            queue(at, 'to', table.concat(list, '', i, math.min(i + TOLD_MAX - 1, #list)), ...)
        end
    end
end

local function lease(device)
    local l = call('HMGET', E .. 'd:' .. device, 't', 'k', 'u', 'a', 'e', 'n', 'p', 'h', 'f', 'y')
    if not l[1] then return nil end
    -- token, user, as shown, address, end, node, end of what is kept, how many rooms are kept, when its keys were made to last,
    -- and why it ends, where that has begun
    return { device = device, token = l[1], user = l[2], shown = l[3], address = l[4], ends = tonumber(l[5]), node = l[6],
        kept_until = tonumber(l[7]), kept = tonumber(l[8]), fresh = tonumber(l[9]), why = l[10] ~= '' and l[10] or nil }
end
local function watcher(l) return l.token .. l.node end
local function member(l) return l.user .. '\0' .. l.device end
local function save(l)
    call('HSET', E .. 'd:' .. l.device, 't', l.token, 'k', l.user, 'u', l.shown, 'a', l.address, 'e', number(l.ends), 'n', l.node,
        'p', number(l.kept_until), 'h', l.kept, 'f', number(l.fresh), 'y', l.why or '')
    call('PEXPIRE', E .. 'd:' .. l.device, LEASE_KEY)
    call('SET', E .. 't:' .. l.token, l.device, 'PX', LEASE_KEY)
    local due = l.ends
    if l.kept > 0 then due = math.min(due, l.kept_until) end
    call('ZADD', E .. 'due', number(due), l.device)
end
local function holder(token)
    local device = call('GET', E .. 't:' .. token)
    local l = device and lease(device)
    -- One whose time is up may not have been seen to yet.
    if l and l.token == token and l.ends > now then return l end
end
local function sorted(list)
    table.sort(list)
    return list
end

local function tell_watchers(l, liveness)
    tell(call('HVALS', E .. 'v:' .. l.user), 'is', 'presence', 'u', l.shown, 'd', l.device, 'a', l.address, 'l', liveness)
end
-- Those who joined with their present lease; the answer to their joining tells the others.
local function tell_room(room, l, liveness)
    local own, others = watcher(l), {}
    for _, joined in ipairs(call('HVALS', E .. 'm:' .. room)) do
        if joined ~= '' and joined ~= own then others[#others + 1] = joined end
    end
    tell(others, 'is', 'room', 'r', room, 'u', l.shown, 'd', l.device, 'a', l.address, 'l', liveness)
end
local function unwatch_all(device)
    local users = call('SMEMBERS', E .. 'w:' .. device)
    work = work + #users
    for _, user in ipairs(users) do call('HDEL', E .. 'v:' .. user, device) end
    call('DEL', E .. 'w:' .. device)
end
local function list_of(room) return string.sub(room, 1, 1) == ':' and E .. 'hidden' or E .. 'rooms' end

local function depart(l, room, liveness)
    call('HDEL', E .. 'm:' .. room, member(l))
    if call('HLEN', E .. 'm:' .. room) == 0 then
        call('ZREM', list_of(room), room)
        queue(node, 'is', 'dismissed', 'r', room)
        return true
    end
    tell_room(room, l, liveness)
    return false
end
-- Ends a lease. Where that is too much for one call the rest of its rooms is left to the next ones, unless it must be done at once.
local function finish(l, why, at_once)
    if not l.why then queue(l.node, 'is', 'ended', 'to', l.token, 'u', l.shown, 'd', l.device, 'a', l.address, 'why', why) end
    l.why, l.ends = l.why or why, math.min(l.ends, now)
    for _, room in ipairs(sorted(call('HKEYS', E .. 'r:' .. l.device))) do
        if work >= WORK_MAX and not at_once then return save(l) end
        call('HDEL', E .. 'r:' .. l.device, room)
        depart(l, room, 'lost')
    end
    unwatch_all(l.device)
    call('DEL', E .. 'd:' .. l.device, E .. 't:' .. l.token)
    call('ZREM', E .. 'due', l.device)
    call('SREM', E .. 'u:' .. l.user, l.device)
    if call('EXISTS', E .. 'u:' .. l.user) == 0 then
        call('ZADD', E .. 'off', number(now), l.user)
        call('HSET', E .. 'offn', l.user, l.shown)
        if call('ZCARD', E .. 'off') > OFFLINE_NAMES_MAX then call('HDEL', E .. 'offn', call('ZPOPMIN', E .. 'off')[1]) end
    end
    tell_watchers(l, l.why == 'lost' and 'lost' or 'left')
end
local function drop_kept(l)
    local rooms = call('HGETALL', E .. 'r:' .. l.device)
    local kept = {}
    for i = 1, #rooms, 2 do
        if rooms[i + 1] == '0' then kept[#kept + 1] = rooms[i] end
    end
    l.kept = #kept
    for _, room in ipairs(sorted(kept)) do
        if work >= WORK_MAX then break end
        l.kept = l.kept - 1
        call('HDEL', E .. 'r:' .. l.device, room)
        depart(l, room, 'lost')
    end
    save(l)
end
-- Ends what is over, not too much at once. Answers whether that was all.
local function expire()
    while true do
        local first = call('ZRANGE', E .. 'due', 0, 0, 'WITHSCORES')
        if #first == 0 or tonumber(first[2]) > now then return true end
        if work >= WORK_MAX then return false end
        work = work + LEASE_WORK
        local l = lease(first[1])
        if not l then
            call('ZREM', E .. 'due', first[1])
        elseif l.ends <= now then
            finish(l, 'lost')
        else
            drop_kept(l)
        end
    end
end

local function begin(l)
    call('ZREM', E .. 'off', l.user)
    call('HDEL', E .. 'offn', l.user)
    call('SADD', E .. 'u:' .. l.user, l.device)
    keep(E .. 'u:' .. l.user)
    save(l)
    tell_watchers(l, 'here')
end
local function replace(l, former)
    unwatch_all(l.device)
    call('DEL', E .. 't:' .. former.token)
    local rooms = sorted(call('HKEYS', E .. 'r:' .. l.device))
    for _, room in ipairs(rooms) do
        call('HSET', E .. 'r:' .. l.device, room, '0')
        call('HSET', E .. 'm:' .. room, member(l), '')
    end
    -- Its keys are as old as they were.
    l.kept, l.kept_until, l.fresh = #rooms, now + REJOIN, former.fresh
    save(l)
    queue(former.node, 'is', 'ended', 'to', former.token, 'u', former.shown, 'd', former.device, 'a', former.address, 'why', 'replaced')
    if former.shown ~= l.shown or former.address ~= l.address then
        tell_watchers(l, 'here')
        for _, room in ipairs(rooms) do tell_room(room, l, 'here') end
    end
end
-- Keys that outlive a renewal are made to last now and then.
local function freshen(l)
    if real - l.fresh < LONG / 3 then return end
    l.fresh = real
    keep(E .. 'r:' .. l.device)
    keep(E .. 'w:' .. l.device)
    keep(E .. 'u:' .. l.user)
    for _, room in ipairs(call('HKEYS', E .. 'r:' .. l.device)) do keep(E .. 'm:' .. room) end
    for _, user in ipairs(call('SMEMBERS', E .. 'w:' .. l.device)) do keep(E .. 'v:' .. user) end
end
local function watch(l, user, shown)
    call('HSET', E .. 'v:' .. user, l.device, watcher(l))
    call('SADD', E .. 'w:' .. l.device, user)
    keep(E .. 'v:' .. user)
    keep(E .. 'w:' .. l.device)
    local devices, to = sorted(call('SMEMBERS', E .. 'u:' .. user)), { watcher(l) }
    for _, device in ipairs(devices) do
        local p = lease(device)
        if p then tell(to, 'is', 'presence', 'u', p.shown, 'd', p.device, 'a', p.address, 'l', 'here') end
    end
    if #devices == 0 then tell(to, 'is', 'offline', 'u', call('HGET', E .. 'offn', user) or shown) end
end
local function peers(devices)
    local list = {}
    for _, device in ipairs(devices) do
        local p = call('HMGET', E .. 'd:' .. device, 'u', 'a')
        if p[1] then
            list[#list + 1] = p[1]
            list[#list + 1] = device
            list[#list + 1] = p[2]
        end
    end
    return list
end

local verbs = {}
function verbs.log_in(token, device, user, shown, address)
    local l = { device = device, token = token, user = user, shown = shown, address = address, ends = now + LEASE, node = node,
        kept_until = 0, kept = 0, fresh = real }
    local former = lease(device)
    if former and former.user == user then
        replace(l, former)
    elseif former then
        finish(former, 'replaced', true)
        begin(l)
    elseif call('ZCARD', E .. 'due') >= LEASES_MAX then
        return 'leases_full'
    else
        begin(l)
    end
    return 'done'
end
function verbs.log_out(token)
    local l = holder(token)
    if not l then return 'unknown_lease' end
    finish(l, 'logged_out')
    return 'done'
end
function verbs.renew(token, ...)
    local l = holder(token)
    if not l then return 'unknown_lease' end
    local users, added, seen = { ... }, 0, {}
    for i = 1, #users, 2 do
        if not seen[users[i]] and call('SISMEMBER', E .. 'w:' .. l.device, users[i]) == 0 then added = added + 1 end
        seen[users[i]] = true
    end
    if added > 0 and call('SCARD', E .. 'w:' .. l.device) + added > WATCHED_MAX then return 'watched_full' end
    l.ends = now + LEASE
    freshen(l)
    save(l)
    for i = 1, #users, 2 do watch(l, users[i], users[i + 1]) end
    return 'done'
end
function verbs.join_room(token, room)
    local l = holder(token)
    if not l then return 'unknown_lease' end
    local rooms, members = E .. 'r:' .. l.device, E .. 'm:' .. room
    local joined, created = call('HGET', rooms, room), false
    if not joined then
        local size = call('HLEN', members)
        if call('HLEN', rooms) >= ROOMS_PER_LEASE_MAX then return 'rooms_per_lease' end
        if size >= MEMBERS_MAX then return 'room_full' end
        created = size == 0
        if created and call('ZCARD', E .. 'rooms') + call('ZCARD', E .. 'hidden') >= ROOMS_MAX then return 'rooms_full' end
    end
    call('HSET', rooms, room, '1')
    call('HSET', members, member(l), watcher(l))
    if joined == '0' then
        l.kept = l.kept - 1
        save(l)
    elseif not joined then
        keep(rooms)
        keep(members)
        if created then
            call('ZADD', list_of(room), 0, room)
            queue(node, 'is', 'created', 'r', room, 'u', l.shown)
        end
        tell_room(room, l, 'here')
    end
    local devices = {}
    for _, name in ipairs(call('HKEYS', members)) do devices[#devices + 1] = string.sub(name, -64) end
    return { 'joined', created and '1' or '0', peers(devices) }
end
function verbs.leave_room(token, room)
    local l = holder(token)
    if not l then return 'unknown_lease' end
    local joined = call('HGET', E .. 'r:' .. l.device, room)
    if not joined then return 'not_in_room' end
    call('HDEL', E .. 'r:' .. l.device, room)
    if joined == '0' then
        l.kept = l.kept - 1
        save(l)
    end
    return { 'left', depart(l, room, 'left') and '1' or '0' }
end
function verbs.stream_lost(token)
    local l = holder(token)
    if l then
        l.ends = math.min(l.ends, now + STREAM_LOST)
        save(l)
    end
    return 'done'
end
function verbs.revoke(device)
    local l = lease(device)
    if l then finish(l, 'revoked') end
    for _, at in ipairs(call('ZRANGE', E .. 'nodes', 0, -1)) do queue(at, 'is', 'revoked', 'd', device) end
    return 'done'
end
-- What one registry says to all.
function verbs.say(note)
    for _, at in ipairs(call('ZRANGE', E .. 'nodes', 0, -1)) do queue(at, 'is', 'said', 'note', note) end
    return 'done'
end
function verbs.tell_attempt(user, device, from, outcome)
    local others = {}
    for _, live in ipairs(sorted(call('SMEMBERS', E .. 'u:' .. user))) do
        local l = live ~= device and lease(live)
        if l then others[#others + 1] = watcher(l) end
    end
    tell(others, 'is', 'attempt', 'd', device, 'from', from, 'outcome', outcome)
    return 'done'
end
function verbs.find(token, user)
    if not holder(token) then return 'unknown_lease' end
    local list = peers(sorted(call('SMEMBERS', E .. 'u:' .. user)))
    local shown = list[1] or call('HGET', E .. 'offn', user)
    if not shown then return 'unknown_user' end
    return { 'found', shown, list }
end
function verbs.list_rooms(token, after, page)
    if not holder(token) then return 'unknown_lease' end
    local names = call('ZRANGEBYLEX', E .. 'rooms', after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, page + 1)
    local list = {}
    for i = 1, math.min(#names, page) do
        list[#list + 1] = names[i]
        list[#list + 1] = number(call('HLEN', E .. 'm:' .. names[i]))
    end
    return { 'page', #names > page + 0 and '1' or '0', list }
end
function verbs.who(token)
    local l = holder(token)
    if not l then return 'unknown_lease' end
    return { 'holder', l.device, l.shown }
end
function verbs.live(...)
    local list = {}
    for _, device in ipairs({ ... }) do
        local l = lease(device)
        if l and l.ends > now then list[#list + 1] = device end
    end
    return { 'live', list }
end
-- A registry is there, and has read what it was told up to a number.
function verbs.tick(read)
    for _, gone in ipairs(call('ZRANGEBYSCORE', E .. 'nodes', '-inf', number(now - NODE_GONE))) do
        if gone ~= node then
            call('ZREM', E .. 'nodes', gone)
            call('UNLINK', E .. 'c:' .. gone, E .. 'q:' .. gone)
        end
    end
    call('ZADD', E .. 'nodes', number(now), node)
    call('XTRIM', E .. 'q:' .. node, 'MINID', '0-' .. number(read + 1))
    keep(E .. 'c:' .. node)
    keep(E .. 'q:' .. node)
    for _, name in ipairs({ 'nodes', 'due', 'rooms', 'hidden', 'off', 'offn' }) do keep(E .. name) end
    return 'done'
end
local all = expire()
local answer = verbs[verb](unpack(ARGV, 6))
return { epoch, call('GET', E .. 'c:' .. node) or '0', all and '1' or '0', answer }
