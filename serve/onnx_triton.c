/* What a Triton server is told of the graph: its model repository has, beside the folders of
 * versions, config.pbtxt, a ModelConfig message in the text form of protocol buffers. */
#include "serve/onnx_impl.h"

/* A text in quotes; octal escapes do for every byte. */
void onnx_triton_text(struct buffer *b, const char *s)
{
    buffer_puts(b, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
            buffer_printf(b, "\\%03o", c);
        else
            buffer_printf(b, "%c", c);
    }
    buffer_puts(b, "\"");
}

/* The first dimension is free: a batch, the keys of a batch's lists, or one more than a
 * batch; so the server does not batch by itself (max_batch_size 0). */
static void put_values(const struct onnx *o, bool output, struct buffer *b)
{
    bool first = true;
    buffer_puts(b, output ? "output [" : "input [");
    for (size_t i = 0; i < o->n_values; i++) {
        const struct onnx_value *v = &o->values[i];
        if (v->output != output) continue;
        buffer_puts(b, first ? "\n  {\n    name: " : ",\n  {\n    name: ");
        onnx_triton_text(b, v->name);
        buffer_printf(b, "\n    data_type: %s\n    dims: [ -1", v->type == ONNX_INT64 ? "TYPE_INT64" : "TYPE_FP32");
        if (v->cols) buffer_printf(b, ", %zu", v->cols);
        buffer_puts(b, " ]\n  }");
        first = false;
    }
    buffer_puts(b, "\n]\n");
}

void onnx_triton(const struct onnx *o, struct buffer *out)
{
    put_values(o, false, out);
    put_values(o, true, out);
}
