#!/usr/bin/env bash
# mtps serve over a socket: the scores of predict in both protocols, every limit with its
# status, new versions without a failed request, an end without a cut answer.
. "${TOP:?}/tests/e2e/lib.sh"
command -v curl >/dev/null || skip "curl is not installed"
small_data
"$MTPS" train -c small.yaml >/dev/null 2>&1
"$MTPS" export --ckpt runs/small -o bundles --version 7 >/dev/null 2>&1
"$MTPS" export --ckpt runs/small -o other --version 8 --rows int8 >/dev/null 2>&1 # the same model, rounded: other scores
"$MTPS" predict --bundle bundles -o want.jsonl --format jsonl >/dev/null 2>&1
"$MTPS" predict --ckpt runs/small -o again.jsonl --format jsonl >/dev/null 2>&1
check "(predict: bundle and checkpoint agree)" cmp want.jsonl again.jsonl

pid=
start() { # option...: a server at a free port; its address in $url
    : >serve.out # the server before may have left its own, and the new one empties it when it gets to run
    "$MTPS" serve --port 0 --json "$@" >serve.out 2>serve.err </dev/null &
    pid=$!
    children+=("$pid")
    until_true grep -q '"url"' serve.out
    url=$(json url <serve.out)
    port=$(json port <serve.out)
}
stop() { # ends it; exit code in $code
    kill -TERM "$pid"
    code=0
    wait "$pid" || code=$?
}
get() { curl -s -m 20 "$url$1"; }
post() { # PATH FILE [curl option...]
    local path=$1 file=$2
    shift 2
    curl -s -m 60 -H 'Content-Type: application/json' -H 'Expect:' --data-binary @"$file" "$@" "$url$path"
}
status() { # curl arguments: the status alone
    curl -s -m 60 -o /dev/null -w '%{http_code}' "$@"
}
post_status() { # PATH BODY
    status -H 'Content-Type: application/json' -d "$2" "$url$1"
}
raw() { # BYTES (printf) [SECONDS]: status lines' codes of what comes back, and whether the server closed
    trap '' PIPE # a server that refuses does not read to the end
    exec 5<>"/dev/tcp/127.0.0.1/$port"
    printf "$1" >raw.in
    cat raw.in >&5 2>/dev/null || true
    local end=closed
    timeout "${2:-1}" cat <&5 >raw.out 2>/dev/null || { [ $? != 124 ] || end=open; }
    exec 5<&- 5>&-
    echo "$(grep -a -oE '^HTTP/1.1 [0-9]+' raw.out | head -n 1 | cut -d' ' -f2) $end"
}

# ---- the same scores
predict=/v1/models/small:predict
start --bundle bundles
same "it says what it serves" '{"small":7}' "$(grep -oE '\{"small":7\}' serve.out)"
awk -F, 'NR > 1 { printf "%s{\"day\":\"%s\",\"user\":\"%s\",\"item\":\"%s\",\"tags\":\"%s\",\"price\":\"%s\"}", (NR > 2 ? "," : "{\"instances\":["), $1, $2, $3, $4, $5 }
         END { print "]}" }' eval.csv >rows.json
post /v1/models/small:predict rows.json | sed 's/^{"predictions":\[//; s/\]}$//; s/},{/}\n{/g' >got.jsonl
echo >>got.jsonl
check "rows have the scores of predict, bit for bit" cmp want.jsonl got.jsonl
awk -F, '{ if (NR > 1) { split($4, t, " "); s = ""; for (k = 1; k in t; k++) s = s (k > 1 ? "," : "") "\"" t[k] "\""
           printf "%s{\"day\":%d,\"user\":\"%s\",\"item\":\"%s\",\"tags\":[%s],\"price\":%s}", (NR > 2 ? "," : "{\"instances\":["), $1, $2, $3, s, ($5 == "" ? "null" : $5 + 0) } }
         END { print "]}" }' eval.csv >typed.json
post /v1/models/small/versions/7:predict typed.json | sed 's/^{"predictions":\[//; s/\]}$//; s/},{/}\n{/g' >got.jsonl
echo >>got.jsonl
check "also as numbers and lists" cmp want.jsonl got.jsonl
awk -F, 'NR > 1 { n++; user = user "," "\"" $2 "\""; item = item ",\"" $3 "\""; day = day "," $1; price = price "," ($5 == "" ? "null" : $5 + 0)
             k = split($4, t, " "); lengths = lengths "," k; for (i = 1; i <= k; i++) { tags = tags ",\"" t[i] "\""; total++ } }
         function tensor(name, type, n, data) { printf "%s{\"name\":\"%s\",\"datatype\":\"%s\",\"shape\":[%d],\"data\":[", comma, name, type, n
                                               ORS = ""; print substr(data, 2) "]}"; comma = "," }
         END { printf "{\"id\":\"all\",\"inputs\":["; tensor("user", "BYTES", n, user); tensor("item", "BYTES", n, item); tensor("day", "INT32", n, day)
               tensor("price", "FP64", n, price); tensor("tags", "BYTES", total, tags); tensor("tags.lengths", "INT32", n, lengths); print "]}" }' \
    eval.csv >tensors.json
post /v2/models/small/infer tensors.json >tensors.out
check "tensors come back with their id, model and version" grep -q '^{"model_name":"small","model_version":"7","id":"all","outputs":' tensors.out
for task in click like finish; do
    same "and $task's scores" "$(sed -E "s/.*\"$task\":([^,}]*).*/\1/" want.jsonl | md5sum)" \
        "$(grep -oE "\"name\":\"$task\"[^]]*\],\"data\":\[[^]]*" tensors.out | sed 's/.*\[//' | tr , '\n' | md5sum)"
done
head='{"inputs":[{"name":"user","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":13}},{"name":"day","datatype":"INT32","shape":[2],"data":[11,11]}],"parameters":{"binary_data_output":true}}'
printf '%s\4\0\0\0u159\1\0\0\0u' "$head" >binary
curl -s -D head.out -H "Inference-Header-Content-Length: ${#head}" -H 'Content-Type: application/octet-stream' --data-binary @binary "$url/v2/models/small/infer" >binary.out
json_bytes=$(tr -d '\r' <head.out | sed -n 's/^Inference-Header-Content-Length: //p')
same "scores as bytes stand behind the JSON" $((json_bytes + 3 * 2 * 4)) "$(stat -c %s binary.out)"
echo '{"inputs":{"user":["u159","u"],"day":[11,11]}}' >plain.json
post /v1/models/small:predict plain.json >plain.out
same "and are those of the text" "$(grep -oE '"click":\[[^]]*' plain.out | sed 's/.*\[//' | awk -F, '{ printf "%.6f %.6f", $1, $2 }')" \
    "$(tail -c 24 binary.out | od -An -tf4 | head -n 1 | awk '{ printf "%.6f %.6f", $1, $2 }')"

# ---- what it says of itself
same "live" '{"live":true}' "$(get /v2/health/live)"
same "ready" '{"ready":true}' "$(get /v2/health/ready)"
same "only what is there" '"extensions":["binary_tensor_data"]' "$(get /v2 | grep -oE '"extensions":[^]]*]')"
same "models are neither loaded nor let go by request" "404 404" "$(post_status /v2/repository/models/small/load '{}') $(post_status /v2/repository/models/small/unload '{}')"
same "also as a proxy is asked" '{"live":true}' "$(curl -s -m 20 -x "$url" http://models.example/v2/health/live)"
same "and in coded letters" '{"name":"small","ready":true}' "$(get /v2/models/sm%61ll/ready)"
same "a name that no model has comes back in plain letters" '{"error":"there is no model a%2Fb é\\xff"}' "$(get '/v2/models/a%2Fb%20%C3%A9%FF')"
same "the model is ready" '{"name":"small","ready":true}' "$(get /v2/models/small/ready)"
same "its index" '[{"name":"small","version":"7","state":"READY","reason":""}]' "$(curl -s -X POST "$url/v2/repository/index")"
check "its inputs" bash -c 'grep -q "{\"name\":\"tags\",\"datatype\":\"BYTES\",\"shape\":\[-1,-1\]}" <<<"$1"' _ "$(get /v2/models/small)"
check "its metadata" bash -c 'grep -q "\"price\":{\"name\":\"price\",\"dtype\":\"DT_DOUBLE\"" <<<"$1"' _ "$(get /v1/models/small/metadata)"
check "its status" bash -c 'grep -q "\"version\":\"7\",\"state\":\"AVAILABLE\"" <<<"$1"' _ "$(get /v1/models/small)"
get /metrics >metrics.out
check "rows are counted" grep -q '^mtps_rows_total{model="small"} 3004$' metrics.out
check "answers are counted" grep -q '^mtps_answers_total{form="predict",code="200"} 3$' metrics.out
check "times are counted" grep -q '^mtps_answer_seconds_count{form="infer"} 2$' metrics.out
check "the page is there" bash -c 'grep -qi "^<!doctype html>" <<<"$1"' _ "$(get /)"

# ---- a client
if command -v python3 >/dev/null; then
    sed -n '/^import json, urllib.request/,/^```/p' "$TOP/docs/deployment.md" | sed "/^\`\`\`/d; /^predict(/d; s|http://127.0.0.1:8080/v1/models/video|$url/v1/models/small|" >client.py
    echo 'print(json.dumps(predict([{"user": "u159", "day": 11}, {"user": "u", "day": 11}])).replace(" ", ""))' >>client.py
    echo '{"instances":[{"user":"u159","day":11},{"user":"u","day":11}]}' >two.json
    same "the documented client of Python works" "$(post "$predict" two.json | grep -oE '"click":[0-9.]+' | awk -F: '{ printf "%.6f ", $2 }')" \
        "$(python3 client.py | grep -oE '"click":[0-9.]+' | awk -F: '{ printf "%.6f ", $2 }')"
fi

# ---- a client that sends all before it reads
cat >large.py <<'PY'
import http.client, sys
host, path, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
for _ in range(10):
    connection = http.client.HTTPConnection(host, timeout=20)
    connection.request("POST", path, b" " * n, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    print(answer.status, answer.read().decode())
PY
if command -v python3 >/dev/null; then
    same "20 MiB are refused, ten times of ten" '10 413 {"error":"the body is larger than bodies may be"}' \
        "$(python3 large.py "127.0.0.1:$port" "$predict" 20971520 | sort | uniq -c | sed 's/^ *//')"
fi

# ---- what is no request
ok='{"instances":[{}]}'
same "an unknown model" 404 "$(post_status /v1/models/nobody:predict "$ok")"
same "an unknown version" 404 "$(post_status /v1/models/small/versions/6:predict "$ok")"
same "an unknown address" 404 "$(status "$url/v3")"
same "an unknown method" 405 "$(status -X DELETE "$url/v2")"
check "names those there are" bash -c 'curl -s -i -X DELETE "$1/v2/repository/index" | grep -q "^Allow: GET, HEAD, POST"' _ "$url"
same "another content type" 415 "$(status -d "$ok" "$url$predict")"
same "a coded body" 415 "$(status -H 'Content-Type: application/json' -H 'Content-Encoding: gzip' -d "$ok" "$url$predict")"
same "a body in chunks" 411 "$(status -H 'Content-Type: application/json' -H 'Transfer-Encoding: chunked' -d "$ok" "$url$predict")"
same "no JSON" 400 "$(post_status "$predict" '{"instances":[')"
same "an unknown input" 400 "$(post_status "$predict" '{"instances":[{"usr":1}]}')"
same "is named" '{"error":"row 0: usr: the model has no such input; did you mean user?"}' \
    "$(curl -s -H 'Content-Type: application/json' -d '{"instances":[{"usr":1}]}' "$url$predict")"
same "a text that is no number" 400 "$(post_status "$predict" '{"instances":[{"price":"cheap"}]}')"
check "is named, with its row" bash -c 'curl -s -H "Content-Type: application/json" -d "{\"instances\":[{},{\"price\":\"cheap\"}]}" "$1" | grep -q "row 1: price"' _ "$url$predict"
same "NaN" 400 "$(post_status "$predict" '{"instances":[{"price":NaN}]}')"
same "4096 rows" 200 "$(post_status "$predict" "{\"instances\":[{}$(printf ',{}%.0s' $(seq 4095))]}")"
same "4097 rows" 413 "$(post_status "$predict" "{\"instances\":[{}$(printf ',{}%.0s' $(seq 4096))]}")"
{ printf '{"instances":[{"tags":[1'; awk 'BEGIN { for (i = 0; i < 1000000; i++) printf ",1" }'; printf ']}]}'; } >many.json
same "1,000,001 values" 413 "$(post "$predict" many.json -o /dev/null -w '%{http_code}')"
head -c 8388609 /dev/zero >large
same "a body over 8 MiB" 413 "$(post "$predict" large -o /dev/null -w '%{http_code}')"

# ---- what is refused before it is read (unit.serve_conformance has all of it): "status end"
h='Host: x\r\n' g='GET /v2/health/live HTTP/1.1\r\n'
p="POST $predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
same "a plain request" "200 open" "$(raw "$g$h\r\n")"
same "a request line of 4 KiB" "414 closed" "$(raw "GET /$(printf 'a%.0s' $(seq 4096)) HTTP/1.1\r\n$h\r\n")"
same "headers of 16 KiB" "431 closed" "$(raw "$g${h}X: $(printf 'a%.0s' $(seq 16384))\r\n\r\n")"
same "101 headers" "431 closed" "$(raw "$g$h$(printf 'X: y\\r\\n%.0s' $(seq 100))\r\n")"
same "an announced body over 8 MiB" "413 closed" "$(raw "${p}Content-Length: 8388609\r\n\r\n")"
same "a body that was not announced" "411 closed" "$(raw "$p\r\n")"
same "two lengths" "400 closed" "$(raw "${p}Content-Length: 18\r\nContent-Length: 18\r\n\r\n$ok")"
same "after all that it scores as before" "$(cat plain.out)" "$(post "$predict" plain.json)"
stop
same "SIGTERM ends it well" 0 "$code"
check "and nobody listens any more" bash -c '! curl -s -m 5 "$1/v2" >/dev/null' _ "$url"

# ---- limits that options set
start --bundle bundles --max-rows 300000 --max-body 1000000 --max-values 3 --max-connections 3 --max-memory 1048576 \
    --header-time 1 --body-time 1 --idle-time 2 --write-time 1 --threads 2
same "--max-values" 413 "$(post_status "$predict" '{"instances":[{"tags":[1,2,3,4]}]}')"
head -c 1000001 /dev/zero >large
same "--max-body" 413 "$(post "$predict" large -o /dev/null -w '%{http_code}')"
head -c 1000000 /dev/zero | tr '\0' ' ' >spaces
same "--max-memory" 503 "$(post "$predict" spaces -o /dev/null -w '%{http_code}')"
seconds() { # BYTES: how long the server leaves a connection open on which only these came
    local t0=$EPOCHREALTIME
    raw "$1" 10 >raw.code
    awk -v a="$t0" -v b="$EPOCHREALTIME" 'BEGIN { print int((b - a) * 10 + 0.5) / 10 }'
}
between() { awk -v a="$1" -v b="$2" -v c="$3" 'BEGIN { exit !(a <= b && b <= c) }'; }
check "--header-time: nothing comes" between 1 "$(seconds '')" 2
check "--header-time: half a header" between 1 "$(seconds "${g}Host: x")" 2
check "--body-time: half a body" between 1 "$(seconds "${p}Content-Length: 18\r\n\r\n{")" 2
check "--idle-time: no second request" between 2 "$(seconds "$g$h\r\n")" 3
drip() { # a byte now and then does not help
    exec 6<>"/dev/tcp/127.0.0.1/$port"
    printf "${p}Content-Length: 1000\r\n\r\n" >&6
    local i t0=$EPOCHREALTIME
    for i in $(seq 50); do
        printf ' ' >&6 2>/dev/null || break
        sleep 0.1
    done
    exec 6<&- 6>&-
    awk -v a="$t0" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }'
}
check "--body-time is absolute" between 1 "$(trap '' PIPE; drip 2>/dev/null)" 3
exec 6<>"/dev/tcp/127.0.0.1/$port" 7<>"/dev/tcp/127.0.0.1/$port" 8<>"/dev/tcp/127.0.0.1/$port"
sleep 0.1
same "--max-connections" "503 closed" "$(raw "$g$h\r\n")"
check "with a hint to come back" grep -aq '^Retry-After: ' raw.out
exec 6<&- 7<&- 8<&-
until_true bash -c '[ "$(curl -s -o /dev/null -w "%{http_code}" "$1/v2")" = 200 ]' _ "$url"
get /metrics >metrics.out
grep cut_total metrics.out >"$out"
check "cut connections are counted" bash -c \
    'grep -q "^mtps_connections_cut_total{limit=\"header\"} [2-9]$" metrics.out && grep -q "^mtps_connections_cut_total{limit=\"body\"} [2-9]$" metrics.out'
same "memory is given back" 0 "$(sed -n 's/^mtps_request_memory_bytes //p' metrics.out)"
stop
start --bundle bundles --max-rows 400000 --max-body 10000000 --write-time 1
{ printf '{"instances":[{}'; awk 'BEGIN { for (i = 1; i < 300000; i++) printf ",{}" }'; printf ']}'; } >long.json
exec 6<>"/dev/tcp/127.0.0.1/$port"
{ printf "${p}Content-Length: %d\r\n\r\n" "$(stat -c %s long.json)"; cat long.json; } >&6
until_true bash -c 'curl -s "$1/metrics" | grep -q "cut_total{limit=\"write\"} 1"' _ "$url"
verdict 0 "--write-time: an answer that is not read"
exec 6<&-
stop

# ---- batches
start --bundle bundles --batch-rows 1000 --batch-window 300000 --max-waiting 3 --threads 2
for i in 1 2 3; do post "$predict" plain.json >"batch$i.out" & children+=($!); waits[i]=$!; done
until_true bash -c '[ "$(curl -s "$1/metrics" | sed -n "s/^mtps_batch_waiting //p")" = 3 ]' _ "$url"
same "--max-waiting" 503 "$(post_status "$predict" "$ok")"
wait "${waits[1]}" "${waits[2]}" "${waits[3]}"
same "requests of one batch have their own scores" "$(cat plain.out)$(cat plain.out)$(cat plain.out)" "$(cat batch1.out batch2.out batch3.out)"
get /metrics >metrics.out
same "they were one batch" 1 "$(sed -n 's/^mtps_batches_total //p' metrics.out)"
same "of six rows" 6 "$(sed -n 's/^mtps_batch_rows_total //p' metrics.out)"
post "$predict" plain.json >batch1.out &
waits[1]=$!
post_status "$predict" '{"instances":[{"price":"cheap"}]}' >batch2.out &
wait "${waits[1]}" $!
same "a request that does not fit is refused alone" "400$(cat plain.out)" "$(cat batch2.out batch1.out)"
post "$predict" plain.json >batch1.out &
waits[1]=$!
sleep 0.1
stop
wait "${waits[1]}" || true
same "what waits is scored before the end" "0$(cat plain.out)" "$code$(cat batch1.out)"

# ---- versions
mkdir -p models/a models/b
cp -r bundles/7 models/a/7
start --bundle a=models/a --bundle b=other --bundle bundles/7/model.mtps --versions 2 --poll 1
same "three models" '{"a":7,"b":8,"small":7}' "$(grep -oE '"models":[^}]*}' serve.out | sed 's/"models"://')"
old=$(post /v1/models/a:predict plain.json)
new=$(post /v1/models/b:predict plain.json)
check "(two versions differ)" test "$old" != "$new"
same "one path is one model" "$old" "$(post /v1/models/small:predict plain.json)"
same "every version that is open is said by its model's name" "a: version 7 is open|b: version 8 is open|small: version 7 is open" \
    "$(grep -oE '[^ ]+: version [0-9]+ is open' serve.err | paste -sd'|')"
same "and counted" "a 1|b 1|small 1" "$(get /metrics | sed -nE 's/^mtps_versions_opened_total\{model="(.*)"\} (.*)$/\1 \2/p' | paste -sd'|')"
add() { # FROM NUMBER: appears at once
    cp -r "$1" "models/a/.tmp" && mv models/a/.tmp "models/a/$2"
}
is_open() { [ "$(status "$url/v2/models/a/versions/$1")" = 200 ]; }
load() { # N FILE: N requests, one after another, over one connection
    seq "$1" | sed "s|.*|url = $url/v1/models/a:predict|" >load.conf
    curl -s -D "$2.head" -H 'Content-Type: application/json' -H 'Expect:' --data-binary @plain.json -w '\n%{http_code}\n' -K load.conf >"$2"
}
load 3000 load1 & loads=($!)
load 3000 load2 & loads+=($!)
children+=("${loads[@]}")
for v in 8 9 10 11 12; do
    if ((v % 2)); then add bundles/7 "$v"; else add other/8 "$v"; fi
    kill -HUP "$pid"
    until_true is_open "$v"
    sleep 0.1
done
wait "${loads[@]}"
same "under load, every request is answered" "6000" "$(cat load1 load2 | grep -c '^200$')"
same "by one version or the other" "$(printf '%s\n' "$old" "$new" | sort)" "$(cat load1 load2 | grep -v '^200$' | sort -u)"
paste <(tr -d '\r' <load1.head | sed -n 's/^Mtps-Model-Version: //p') <(grep -v '^200$' load1) | sort -u >seen
check "and each says by which" awk -F'\t' -v old="$old" -v new="$new" '$2 != ($1 % 2 ? old : new) { bad = 1 } END { exit bad || NR < 2 }' seen
same "the two newest are open" '"12","11"' "$(get /v2/models/a | grep -oE '"versions":\[[^]]*' | sed 's/.*\[//')"
same "the newest answers" "$new" "$(post /v1/models/a:predict plain.json)"
same "the other one, when it is asked" "$old" "$(post /v1/models/a/versions/11:predict plain.json)"
same "an older one is gone" 404 "$(status "$url/v2/models/a/versions/10")"
mkdir models/a/.tmp && head -c 20000 bundles/7/model.mtps >models/a/.tmp/model.mtps && mv models/a/.tmp models/a/13
kill -HUP "$pid"
until_true grep -q 'version 13 cannot be used' serve.err
same "a damaged version is left out" "$new" "$(post /v1/models/a:predict plain.json)"
same "said once, with its reason" 1 "$(sleep 2.2; grep -c 'a: version 13 cannot be used: models/a/13/model.mtps: .*' serve.err)"
check "and counted" bash -c 'curl -s "$1/metrics" | grep -q "^mtps_versions_refused_total{model=\"a\"} 1$"' _ "$url"
mkdir elsewhere && cp -r other/8 elsewhere/14 && ln -s ../../elsewhere/14 models/a/14
kill -HUP "$pid"
until_true grep -q 'version 14 cannot be used' serve.err
same "a version that is a link is not followed" "$new" "$(post /v1/models/a:predict plain.json)"
same "said once, too" 1 "$(sleep 2.2; grep -c 'a: version 14 cannot be used: models/a/14: a symbolic link, which is not followed$' serve.err)"
rm models/a/14
rm -r models/a/12
until_true bash -c '[ "$(curl -s "$1/v2/models/a" | grep -oE "\"versions\":\[[^]]*")" = "\"versions\":[\"11\",\"10\"" ]' _ "$url"
same "a version that is removed is let go, without a signal" "$old" "$(post /v1/models/a:predict plain.json)"
stop

ln -s models/a links-versions; ln -s models/a/11 current
start --bundle a=links-versions --bundle current
same "the path itself may be a link, to versions or to one" '{"a":11,"small":7}' "$(grep -oE '"models":[^}]*}' serve.out | sed 's/"models"://')"
stop
mkdir only-links && ln -s ../bundles/7 only-links/7
expect_error 66 'only-links/7: a symbolic link, which is not followed' "links alone are no versions" "$MTPS" serve --bundle only-links

# ---- warm-up rows
printf '%s\n' '{"user":"u1","price":2}' '' '{}' >models/a/warm_up.jsonl
rm -r models/a/13
start --bundle a=models/a
stop
same "rows to warm up with" 0 "$code"
echo '{"user":"u1","colour":2}' >>models/a/warm_up.jsonl
expect_error 66 'models/a/warm_up.jsonl:4: colour: the model has no such input' "that do not fit" "$MTPS" serve --bundle a=models/a
mv models/a/warm_up.jsonl elsewhere && ln -s ../../elsewhere/warm_up.jsonl models/a
expect_error 66 'models/a/warm_up.jsonl: a symbolic link, which is not followed' "nor are they taken through a link" "$MTPS" serve --bundle a=models/a
rm models/a/warm_up.jsonl

# ---- the end, in the middle of a request
start --bundle bundles
exec 6<>"/dev/tcp/127.0.0.1/$port"
printf "${p}Content-Length: %d\r\n\r\n" "$(stat -c %s plain.json)" >&6
head -c 10 plain.json >&6
sleep 0.2
kill -TERM "$pid"
until_true bash -c '! curl -s -m 5 "$1/v2" >/dev/null' _ "$url"
tail -c +11 plain.json >&6
same "a request that was under way is answered" "$(cat plain.out)" "$(timeout 5 cat <&6 | tail -n 1)"
exec 6<&-
code=0
wait "$pid" || code=$?
same "and then it ends well" 0 "$code"

# ---- the command line
expect_error 64 'bundle is missing' "no bundle" "$MTPS" serve
expect_error 66 'nowhere: neither a bundle' "a bundle that is not there" "$MTPS" serve --bundle nowhere
hint() { # SENTENCE TEXT: what the last error tells to do
    check "$1" grep -qxF "hint: $2" "$err"
}
expect_error 64 'cannot stand in an address' "a name that is none" "$MTPS" serve --bundle 'a b=bundles'
expect_error 64 'cannot stand in an address' "a name that leads up" "$MTPS" serve --bundle ..=bundles
expect_error 64 'two models have the name' "a name twice" "$MTPS" serve --bundle a=bundles --bundle a=other
hint "(give another)" "give one of them another name: NAME=PATH"
expect_error 64 'two models have the name small' "one bundle twice" "$MTPS" serve --bundle bundles --bundle other
expect_error 64 "'a=': no path" "a name without a path" "$MTPS" serve --bundle a=
hint "(give one)" "name a bundle or a folder of versions: [NAME=]PATH"
expect_error 64 "'': no path" "no path" "$MTPS" serve --bundle ''
expect_error 64 "'=bundles': no name" "a path behind no name" "$MTPS" serve --bundle =bundles
hint "(give both or the path)" "NAME=PATH, or PATH alone for the name in the bundle"
expect_error 64 "'a=b=c': more than one" "two signs of equality" "$MTPS" serve --bundle a=b=c
hint "(say what is the path)" "a path with '=' in it needs './' in front: a=./b=c"
cp -r bundles 'b=c'
start --bundle 'a=./b=c' --bundle './b=c'
same "such a path, with a name and without" '{"a":7,"small":7}' "$(grep -oE '"models":[^}]*}' serve.out | sed 's/"models"://')"
stop
expect_error 64 '\-\-port: .70000. is not a whole number' "no port" "$MTPS" serve --bundle bundles --port 70000
expect_error 73 '10.255.255.1, port' "an address of another machine" "$MTPS" serve --bundle bundles --listen 10.255.255.1
expect_error 73 'localhost, port' "a name for an address" "$MTPS" serve --bundle bundles --listen localhost
start --bundle bundles
expect_error 73 "127.0.0.1, port $port: " "a port that is taken" "$MTPS" serve --bundle bundles --port "$port"
check "it listens at this machine's own address alone" bash -c '[[ $1 == http://127.0.0.1:* ]]' _ "$url"
stop
start --bundle bundles --listen ::1
same "also at one of IPv6" '{"live":true}' "$(curl -g -s "$url/v2/health/live")"
stop
expect_error 64 'open files' "more connections than files" bash -c "ulimit -n 1000; exec timeout 20 '$MTPS' serve --bundle bundles --max-connections 5000"
finish
