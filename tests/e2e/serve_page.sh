#!/usr/bin/env bash
# The page of mtps serve in a headless browser: the form has the model's inputs, what is
# filled in is scored, what does not fit is said. Skipped without Chromium (Debian:
# chromium or chromium-headless-shell).
. "${TOP:?}/tests/e2e/lib.sh"
browser=
for name in chromium chromium-headless-shell google-chrome; do
    [ -n "$browser" ] || browser=$(command -v "$name" || true)
done
[ -n "$browser" ] || skip "no Chromium: apt-get install chromium"
command -v curl >/dev/null || skip "curl is not installed"

small_data
"$MTPS" train -c small.yaml >/dev/null 2>&1
"$MTPS" export --ckpt runs/small -o bundles --version 7 >/dev/null 2>&1
"$MTPS" serve --port 0 --json --bundle bundles --bundle second=bundles >serve.out 2>serve.err </dev/null &
children+=($!)
until_true grep -q '"url"' serve.out
url=$(json url <serve.out)

flags=(--headless --disable-gpu --disable-dev-shm-usage --user-data-dir="$work/profile")
[ "$(id -u)" != 0 ] || flags+=(--no-sandbox)
look() { # ADDRESS WIDTH: the page as the browser left it, in page.dom
    run timeout 60 "$browser" "${flags[@]}" --window-size="$2,900" --virtual-time-budget=10000 --dump-dom "$1"
    cp "$out" page.dom
    cp "$err" page.err
}
text() { # of the element with this id, without tags
    tr '\n' ' ' <page.dom | grep -oE "<[a-z]+[^>]* id=\"$1\"[^>]*>.*" | sed -E "s/^<([a-z]+)[^>]*>//; s/<\/(p|pre|table|span)>.*//" |
        sed -E 's/<[^>]*>/ /g; s/  +/ /g; s/^ //; s/ $//'
}

# ---- what is filled in is scored
look "$url/#small?user=u159&item=i1&tags=t1,t2&price=0.75&day=11" 1200
for name in user item tags day price; do
    check "there is a field for $name" grep -q "id=\"in-$name\"" page.dom
done
check "both models can be chosen" bash -c 'grep -q "<option>second</option>" page.dom && grep -q "<option>small</option>" page.dom'
want=$(curl -s -H 'Content-Type: application/json' "$url/v1/models/small:predict" \
    -d '{"instances":[{"user":"u159","item":"i1","tags":["t1","t2"],"price":0.75,"day":11}]}' |
    sed -E 's/.*\[\{(.*)\}\].*/\1/' | tr ',' '\n' | sed -E 's/"([a-z]+)":(.*)/\1 \2/' | awk '{ printf "%s %.5f ", $1, $2 }')
same "the scores are those of the server" "$want" "$(text scores | tr ' ' '\n' | awk 'NR % 2 { name = $1 } !(NR % 2) { printf "%s %.5f ", name, $1 }')"
check "with the version and the time" bash -c '[[ $1 =~ ^version\ 7,\ [0-9.]+\ ms ]]' _ "$(text took)"
check "and the command that asks for them" bash -c '[[ $1 == *"$2/v1/models/small:predict"*"\"tags\":[\"t1\",\"t2\"],\"day\":11,\"price\":0.75"* ]]' _ "$(text command | sed 's/&quot;/"/g')" "$url"
check "nothing is wrong" test -z "$(text error)"
check "no script fails" bash -c '! grep -qiE "uncaught|refused to|violates" page.err'
look "$url/#second" 1200
same "another model is chosen" 1 "$(text command | grep -c "/v1/models/second:predict")"
look "$url/#small?price=cheap&user=%3Cb%3Ebold" 1200
check "what does not fit is said" bash -c '[[ $1 == "row 0: price: not a number"* ]]' _ "$(text error)"
check "and nothing is scored" test -z "$(text scores)"
check "texts are texts" bash -c '! grep -q "<b>bold" page.dom && grep -q "&lt;b&gt;bold" page.dom' 

# ---- how it looks, wide and narrow: the page alone, with the server's answers put in
{
    echo '<script>'
    printf 'const answers = {"/v2/repository/index": %s, "/v2/models/second": %s, "/v1/models/second:predict": %s};\n' \
        "$(curl -s "$url/v2/repository/index")" "$(curl -s "$url/v2/models/second")" '{"predictions":[{"click":0.5,"like":0,"finish":1}]}'
    cat <<'JS'
window.fetch = async (path) => ({ ok: true, headers: new Headers({ "Mtps-Model-Version": "7" }), json: async () => answers[path] });
JS
    echo '</script>'
} >stub.html
curl -s "$url/" >served.html
check "the page of the program is that of the tree" cmp served.html "$TOP/serve/http/page.html"
{
    sed '/<script>/,$d' served.html
    cat stub.html
    sed -n '/<script>/,$p' served.html | sed '/<\/body>/d'
    printf '<script>\n%s\n</script></body></html>\n' "$(cat "$TOP/tests/e2e/serve_page.js")"
} >page.html
for width in 1200 420; do
    look "file://$work/page.html#second" "$width"
    sed -n '/<pre id="verdict">/,/<\/pre>/p' page.dom >verdict.txt
    check "the browser lays the page out at $width pixels" grep -q '^end$' verdict.txt
    while read -r outcome sentence; do
        case $outcome in
        ok) verdict 0 "$width: $sentence" ;;
        FAIL) : >"$out" && verdict 1 "$width: $sentence" ;;
        esac
    done <verdict.txt
done
finish
