#!/usr/bin/env bash
# The page of mtps compare in a headless browser, wide and narrow: plots are there,
# coloured, inside of their boxes and legible. Skipped without Chromium (Debian:
# chromium or chromium-headless-shell).
. "${TOP:?}/tests/e2e/lib.sh"
browser=
for name in chromium chromium-headless-shell google-chrome; do
    [ -n "$browser" ] || browser=$(command -v "$name" || true)
done
[ -n "$browser" ] || skip "no Chromium: apt-get install chromium"

small_data
long='day > 0 and user != "<b>bold</b> & a text that is too long for a label"'
cells=(--vary model.type=share_bottom,mmoe,ple --vary "data.eval.where=day > 0,$long" --seeds 2
    --set 'data.valid={fraction: 0.2}' --set train.epochs=2 --set 'train.eval_every=8 steps' --on eval,train -o runs/page)
expect_exit 0 "a comparison of six cells" "$MTPS" compare -c small.yaml "${cells[@]}" --json
same "(six)" 6 "$(grep -o '"label"' "$out" | wc -l | tr -d ' ')"
{
    sed '/<\/body>/d' runs/page/compare.html
    printf '<script>\n%s\n</script></body></html>\n' "$(cat "$TOP/tests/e2e/compare_page.js")"
} >page.html

flags=(--headless --disable-gpu --disable-dev-shm-usage --user-data-dir="$work/profile" --virtual-time-budget=2000)
[ "$(id -u)" != 0 ] || flags+=(--no-sandbox)
for width in 1200 420; do
    run timeout 60 "$browser" "${flags[@]}" --window-size="$width,900" --dump-dom "file://$work/page.html"
    sed -n '/<pre id="verdict">/,/<\/pre>/p' "$out" >verdict.txt
    check "the browser lays the page out at $width pixels" grep -q '^end$' verdict.txt
    check "no script of the page fails" bash -c '! grep -qi "uncaught" "$1"' _ "$err"
    while read -r outcome sentence; do
        case $outcome in
        ok) verdict 0 "$width: $sentence" ;;
        FAIL) : >"$out" && verdict 1 "$width: $sentence" ;;
        esac
    done <verdict.txt
done

# Pictures as a document shows them: read as XML, which forgives nothing.
for picture in compare.svg:720 curves.svg:880; do
    echo "<html><body><img src=\"runs/page/${picture%:*}\" onload=\"this.alt = this.naturalWidth\"></body></html>" >picture.html
    run timeout 60 "$browser" "${flags[@]}" --dump-dom "file://$work/picture.html"
    check "${picture%:*} is a picture of its own" grep -q "alt=\"${picture#*:}\"" "$out"
done
finish
