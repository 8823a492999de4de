/* What the name of a column says about its values. */
#include <ctype.h>
#include <string.h>

#include "data/guess_impl.h"
#include "data/raw_text.h"

const char *const guess_tokens[GUESS_TOKENS] = {"NULL", "null", "Null", "NaN",  "nan",
                                                "NA",   "N/A",  "n/a",  "None", "none",
                                                "\\N",  "-",    "?"};

size_t guess_token(struct text t)
{
    for (size_t i = 0; i < GUESS_TOKENS; i++)
        if (raw_text_equal(t, raw_text_of(guess_tokens[i]))) return i;
    return SIZE_MAX;
}

/* ---- words of a name: userId_2 -> user id 2 ---- */

enum { MAX_WORDS = 16, MAX_WORD = 32 };

struct words {
    char v[MAX_WORDS][MAX_WORD];
    size_t n;
    char joined[128]; /* letters and digits of all words */
};

enum letter { OTHER, LETTER, CAPITAL, DIGIT };

static enum letter kind_of(char c)
{
    if (isdigit((unsigned char)c)) return DIGIT;
    if (isupper((unsigned char)c)) return CAPITAL;
    return isalpha((unsigned char)c) ? LETTER : OTHER;
}

/* Does a word begin at c, behind `before`? */
static bool begins(char before, char c)
{
    if (kind_of(c) == DIGIT) return kind_of(before) != DIGIT;
    if (kind_of(before) == DIGIT || kind_of(before) == OTHER) return true;
    return kind_of(c) == CAPITAL && kind_of(before) == LETTER;
}

static void split_words(const char *name, struct words *w)
{
    memset(w, 0, sizeof *w);
    size_t at = 0, joined = 0;
    char before = '_';
    for (const char *c = name; *c; before = *c++) {
        if (kind_of(*c) == OTHER) continue;
        if (begins(before, *c)) {
            if (w->n == MAX_WORDS) return;
            w->n++;
            at = 0;
        }
        char low = (char)tolower((unsigned char)*c);
        if (at + 1 < MAX_WORD) w->v[w->n - 1][at++] = low;
        if (joined + 1 < sizeof w->joined) w->joined[joined++] = low;
    }
}

static bool is_one_of(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(word, *list)) return true;
    return false;
}

#define LIST(name, ...) static const char *const name[] = {__VA_ARGS__, NULL}

LIST(user_names, "user", "userid", "uid", "u", "member", "memberid", "customer",
     "customerid", "visitorid", "viewerid", "buyerid", "buyeradminid", "accountid",
     "account", "cid", "userno", "usercode");
LIST(item_names, "item", "itemid", "iid", "video", "videoid", "vid", "movie", "movieid",
     "product", "productid", "pid", "goods", "goodsid", "sku", "skuid", "ad", "adid",
     "adgroupid", "creativeid", "article", "articleid", "newsid", "song", "songid",
     "trackid", "docid", "photoid", "feedid", "noteid", "bookid", "isbn");
LIST(row_names, "search", "searchid", "request", "requestid", "session", "sessionid",
     "trace", "traceid", "log", "logid", "row", "rowid", "index", "impressionid",
     "sampleid", "recordid", "eventid", "uuid", "guid", "insid", "exposureid");
LIST(id_words, "id", "ids", "code", "codes", "zip", "postcode", "category", "categorical",
     "cat", "cate", "type", "kind", "class", "brand", "shop", "store", "seller", "author",
     "creator", "artist", "channel", "city", "country", "region", "province", "language",
     "gender", "sex", "occupation", "level", "grade", "tag", "tags", "genre", "genres",
     "topic", "site", "domain", "os", "browser", "model", "version", "cluster", "bucket",
     "range", "recode", "onehot", "sparse", "ip", "tab", "scene", "token", "device",
     "slot", "did");
LIST(number_words, "age", "price", "amount", "count", "cnt", "num", "n", "rate", "ratio",
     "score", "avg", "mean", "sum", "std", "len", "length", "size", "width", "height",
     "weight", "duration", "seconds", "secs", "ms", "minutes", "days", "weeks", "months",
     "wage", "income", "salary", "gain", "gains", "loss", "losses", "dividend",
     "dividends", "balance", "distance", "lat", "lng", "lon", "latitude", "longitude",
     "numeric", "numerical", "dense", "float", "percent", "temperature", "quantity",
     "qty", "total", "persons", "cost", "pv", "uv", "hours");
LIST(time_names, "time", "timestamp", "ts", "timems", "timestampms", "datetime",
     "unixtime", "eventtime", "requesttime", "logtime", "exposuretime", "createdat",
     "createtime", "timestampfloat", "clicktime", "servertime");
LIST(day_names, "date", "day", "dt", "ds", "logdate", "eventdate");
LIST(outcome_names, "label", "labels", "target", "y", "click", "clicks", "clicked", "clk",
     "ctr", "like", "liked", "dislike", "buy", "bought", "purchase", "purchased", "pay",
     "paid", "order", "ordered", "conversion", "convert", "converted", "conv", "cvr",
     "install", "installed", "follow", "followed", "forward", "comment", "commented",
     "share", "shared", "favorite", "favourite", "fav", "collect", "cart", "addtocart",
     "atc", "finish", "finished", "complete", "completed", "longview", "effectiveview",
     "hate", "churn", "profileenter", "clickbuy", "validplay", "longplay");
LIST(amount_names, "rating", "stars", "watchtime", "watchratio", "playtime", "playratio",
     "dwelltime", "dwell", "staytime", "viewtime", "playduration", "watchduration",
     "profilestaytime", "commentstaytime", "playprogress", "completionratio");

/* The last word that says id or number decides: price_bucket, category_count. */
static unsigned by_words(const struct words *w)
{
    for (size_t i = w->n; i-- > 0;) {
        if (is_one_of(w->v[i], id_words)) return HINT_ID;
        if (is_one_of(w->v[i], number_words)) return HINT_NUMBER;
    }
    /* Criteo's I1..I13 and C1..C26. */
    if (w->n == 2 && isdigit((unsigned char)w->v[1][0])) {
        if (!strcmp(w->v[0], "i")) return HINT_NUMBER;
        if (!strcmp(w->v[0], "c")) return HINT_ID;
    }
    return 0;
}

/* is_click, label_click and click_label are the outcome click; play_time_ms is
 * play_time. A number behind a name is left away: label0. */
static const char *core(char *joined)
{
    size_t n = strlen(joined);
    while (n > 1 && isdigit((unsigned char)joined[n - 1])) joined[--n] = '\0';
    if (n > 7 && !strcmp(joined + n - 2, "ms")) joined[n -= 2] = '\0';
    static const char *const ends[] = {"label", "flag"};
    for (size_t i = 0; i < 2; i++) {
        size_t m = strlen(ends[i]);
        if (n > m && !strcmp(joined + n - m, ends[i])) joined[n -= m] = '\0';
    }
    static const char *const starts[] = {"is", "has", "label"};
    for (size_t i = 0; i < 3; i++) {
        size_t m = strlen(starts[i]);
        if (n > m && !strncmp(joined, starts[i], m)) return joined + m;
    }
    return joined;
}

unsigned guess_hints(const char *name)
{
    struct words w;
    split_words(name, &w);
    unsigned hints = 0;
    if (is_one_of(w.joined, user_names)) hints |= HINT_USER;
    if (is_one_of(w.joined, item_names)) hints |= HINT_ITEM;
    if (is_one_of(w.joined, row_names)) hints |= HINT_ROW;
    if (is_one_of(w.joined, time_names)) hints |= HINT_TIME;
    if (is_one_of(w.joined, day_names)) hints |= HINT_DAY;
    char whole[sizeof w.joined];
    strcpy(whole, w.joined);
    const char *what = core(w.joined);
    if (is_one_of(what, outcome_names) || is_one_of(whole, outcome_names))
        hints |= HINT_OUTCOME;
    else if (is_one_of(what, amount_names))
        hints |= HINT_AMOUNT;
    if (!(hints & (HINT_TIME | HINT_DAY))) hints |= by_words(&w);
    if (hints & (HINT_USER | HINT_ITEM | HINT_ROW)) hints |= HINT_ID;
    if (hints & HINT_ID) hints &= ~(unsigned)HINT_NUMBER;
    return hints;
}
