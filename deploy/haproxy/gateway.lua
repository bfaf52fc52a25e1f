-- Asks the gateway about a request. It answers 200, which leaves the word `yes` in txn.gateway_allowed, or it refuses,
-- and the client gets its refusal. haproxy.cfg lets nothing through without that word.

-- Of one answer. HAProxy asks three times more before it gives up: a second later where it is not let in, else after
-- this time.
local TIMEOUT_MS = 5000

-- What speaks of the connection between client and HAProxy, which has read it. Host is asked about under its own name.
local OF_THE_CONNECTION = {
    ["connection"] = true, ["content-length"] = true, ["expect"] = true, ["keep-alive"] = true,
    ["proxy-connection"] = true, ["te"] = true, ["trailer"] = true, ["transfer-encoding"] = true, ["upgrade"] = true,
    ["x-original-method"] = true, ["x-original-uri"] = true,
}
-- What the gateway says of what it allows, for the exchange.
local TOLD = { "gateway-decision", "gateway-access", "gateway-account", "gateway-country", "gateway-device" }

local function asked_about(txn)
    local headers = {}
    for name, values in pairs(txn.http:req_get_headers()) do
        if not OF_THE_CONNECTION[name] then
            -- Each line by itself: a header that came twice shall not look as if it came once.
            local lines = {}
            for number = 0, #values do
                lines[#lines + 1] = values[number]
            end
            headers[name] = lines
        end
    end
    -- Else HAProxy would name itself in place of a client that does not.
    headers["user-agent"] = headers["user-agent"] or { "" }
    headers["x-original-method"] = { txn.f:method() }
    -- As the client sent it; HTTP/2 has no such thing, and there HAProxy passes on the path with the query.
    headers["x-original-uri"] = { txn.f:fc_http_major() == 1 and txn.f:url() or txn.f:pathq() }
    return headers
end

core.register_action("ask_the_gateway", { "http-req" }, function(txn, gateway)
    local answer = core.httpclient():get({
        url = gateway .. "/authz/haproxy", headers = asked_about(txn), timeout = TIMEOUT_MS,
    })
    local told = answer.headers or {}
    if answer.status == 200 then
        for _, name in ipairs(TOLD) do
            if told[name] then
                txn.http:req_set_header(name, told[name][0])
            end
        end
        txn:set_var("txn.gateway_decision", told["gateway-decision"][0])
        txn:set_var("txn.gateway_access", told["gateway-access"][0])
        txn:set_var("txn.gateway_allowed", "yes")
    elseif told["gateway-decision"] then
        local reply = txn:reply({ status = answer.status })
        for name, values in pairs(told) do
            if not OF_THE_CONNECTION[name] then
                for number = 0, #values do
                    reply:add_header(name, values[number])
                end
            end
        end
        if txn.f:method() ~= "HEAD" then
            reply:set_body(answer.body)
        end
        txn:done(reply)
    end
end, 1)
