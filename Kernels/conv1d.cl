// Convolution along time, stride 1, zeros beyond both ends of a sample; `left` of them are before
// it, as Keras's `same` or `causal` padding wants:
//
//   output[b, t, o] = bias[o] + Σ_{k, c} weights[k, c, o] · input[b, t + k·dilation - left, c]
//
// input [B, T, C], weights [K, C, O], output [B, T, O]. Each direction is one product of matrices
// (product.cl) whose factors are never laid out: rows are the time steps of all live samples in
// turn, so that tiles run on over the samples' ends and the short sequences after pooling fill them
// too; taps, dilation and padding are index arithmetic where a tile is fetched. The taps of a tile
// read the same few rows, which stay in the cache.
//
// A build for one direction alone (PART) is what specialised programs are, since directions differ
// in their tiles. These are the ones of a large GPU:
//
// build: -DPART=1 -DTIME=204 -DINPUTS=64 -DOUTPUTS=32 -DTAPS=7 -DDILATION=4 -DLEFT=24 -DVECTORS=1
// build: -DPART=2 -DTIME=204 -DINPUTS=64 -DOUTPUTS=32 -DTAPS=7 -DDILATION=4 -DLEFT=12 -DTILE_ROWS=64 -DTILE_COLUMNS=64 -DITEM_ROWS=4 -DVECTORS=1
// build: -DPART=1 -DTIME=51 -DINPUTS=256 -DOUTPUTS=512 -DTAPS=3 -DDILATION=1 -DLEFT=1 -DTILE_ROWS=128 -DTILE_COLUMNS=64 -DITEM_ROWS=8 -DVECTORS=1
// build: -DPART=2 -DTIME=51 -DINPUTS=256 -DOUTPUTS=512 -DTAPS=3 -DDILATION=1 -DLEFT=1 -DTILE_ROWS=128 -DTILE_COLUMNS=64 -DITEM_ROWS=8 -DVECTORS=1
// build: -DPART=3 -DTIME=51 -DINPUTS=256 -DOUTPUTS=512 -DTAPS=3 -DDILATION=1 -DLEFT=1 -DTILE_ROWS=128 -DTILE_COLUMNS=64 -DITEM_ROWS=8 -DVECTORS=1
// build: -DPART=3 -DTIME=204 -DINPUTS=8 -DOUTPUTS=32 -DTAPS=3 -DDILATION=1 -DLEFT=1 -DTILE_ROWS=32 -DTILE_COLUMNS=32 -DITEM_ROWS=4 -DVECTORS=1
// build: -DPART=1 -DTIME=51 -DINPUTS=256 -DOUTPUTS=512 -DTAPS=3 -DDILATION=1 -DLEFT=1 -DTILE_ROWS=128 -DTILE_COLUMNS=64 -DITEM_ROWS=8 -DVECTORS=1 -DHALF_STORAGE=1
// build: -DPART=2 -DTIME=204 -DINPUTS=64 -DOUTPUTS=32 -DTAPS=7 -DDILATION=4 -DLEFT=12 -DTILE_ROWS=64 -DTILE_COLUMNS=64 -DITEM_ROWS=4 -DVECTORS=1 -DHALF_STORAGE=1
// build: -DPART=3 -DTIME=51 -DINPUTS=256 -DOUTPUTS=512 -DTAPS=3 -DDILATION=1 -DLEFT=1 -DTILE_ROWS=128 -DTILE_COLUMNS=64 -DITEM_ROWS=8 -DVECTORS=1 -DHALF_STORAGE=1

#include "common.cl"
#include "product.cl"

#ifndef PART
#define PART 0
#endif
#ifndef TIME
#define TIME time_
#define INPUTS inputs_
#define OUTPUTS outputs_
#define TAPS taps_
#endif
// As arguments they cost next to nothing, and layers that differ in them alone share a program.
#ifndef DILATION
#define DILATION dilation_
#define LEFT left_
#endif

#define SIZES                                                                         \
  const int rows, const int time_, const int inputs_, const int outputs_, const int taps_, \
      const int dilation_, const int left_

#if PART == 0 || PART == 1
// Depth (k, c), columns o; the bias is added on the way out.
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1), vec_type_hint(float4)))
void conv1d_forward(
    IN(stored, input), IN(float, weights), IN(float, bias), OUT(stored, output), SIZES) {
  TILES;
  rows_product(AT(input), INPUTS, AT(weights), OUTPUTS, false, AT(bias), 0, 1.0f, AT(output),
               OUTPUTS, rows, OUTPUTS, TIME, TAPS, INPUTS, DILATION, -LEFT, left_tile, right_tile);
}
#endif

#if PART == 0 || PART == 2
// Depth (k, o), columns c: the same with the taps' signs and the weights turned. Where `adds`, the
// gradient of another reader is added, which may lie in input_gradient itself.
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1), vec_type_hint(float4)))
void conv1d_backward_input(
    IN(stored, output_gradient), IN(float, weights), IN(stored, addend), const int adds,
    OUT(stored, input_gradient), SIZES) {
  TILES;
  rows_product(AT(output_gradient), OUTPUTS, AT(weights), OUTPUTS, true, 0,
               adds ? AT(addend) : 0, 1.0f, AT(input_gradient), INPUTS, rows, INPUTS, TIME, TAPS,
               OUTPUTS, -DILATION, LEFT, left_tile, right_tile);
}
#endif

#if PART == 0 || PART == 3
// Rows (k, c), columns o, depth all time steps of the batch. It is cut into `span` steps a group of
// the third dimension; each leaves its sums at `part` elements beyond those of the group before,
// and column_sums.cl adds them in order. A launch of one such group leaves the result itself. Before
// a batch normalization (`unbiased`) the bias has no gradient: zeros, and not what rounding makes of
// them.
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1), vec_type_hint(float4)))
void conv1d_backward_weights(
    IN(stored, input), IN(stored, output_gradient), OUT(float, weights_gradient),
    OUT(float, bias_gradient), const int unbiased, const int span, const int part, SIZES) {
  TILES;
  const int first = get_group_id(2) * span;
  const size_t place = get_group_id(2) * (size_t)part;
  columns_product(AT(input), INPUTS, AT(output_gradient), OUTPUTS, 1.0f,
                  AT(weights_gradient) + place, OUTPUTS, AT(bias_gradient) + place, unbiased, first,
                  min(rows, first + span), OUTPUTS, TIME, TAPS, INPUTS, DILATION, -LEFT, left_tile,
                  right_tile);
}
#endif
