// The convolutions of conv1d.cl on tensor cores: input, weights, outputs and their gradients are
// halves, biases and the gradients of weights and biases floats. All channels are multiples of
// eight (see tensor_core_product.cl).
//
// instructions: HMMA LDSM LDGSTS
// build: -DPART=1 -DSTATISTICS=1
// build of each tile: -DPART=1 -DRESULT_CHUNKS=1
// build of each tile: -DPART=1 -DRESULT_CHUNKS=1 -DSTATISTICS=1
// build of each tile: -DPART=2 -DRESULT_CHUNKS=1
// build of each tile: -DPART=3 -DRESULT_CHUNKS=1
// build: -DPART=2
// build: -DPART=3
// build: -DPART=1 -DTIME=204 -DINPUTS=8 -DOUTPUTS=32 -DTAPS=7 -DDILATION=8 -DLEFT=48 -DTILE_ROWS=128 -DTILE_COLUMNS=32 -DWARPS_DOWN=4 -DWARPS_ACROSS=1 -DRESULT_CHUNKS=1
// build: -DPART=1 -DTIME=204 -DINPUTS=64 -DOUTPUTS=32 -DTAPS=7 -DDILATION=4 -DLEFT=24 -DTILE_ROWS=128 -DTILE_COLUMNS=32 -DWARPS_DOWN=4 -DWARPS_ACROSS=1 -DRESULT_CHUNKS=1
// build: -DPART=1 -DTIME=204 -DINPUTS=64 -DOUTPUTS=32 -DTAPS=7 -DDILATION=4 -DLEFT=24 -DTILE_ROWS=128 -DTILE_COLUMNS=32 -DWARPS_DOWN=4 -DWARPS_ACROSS=1 -DRESULT_CHUNKS=1 -DSTATISTICS=1
// build: -DPART=1 -DTIME=51 -DINPUTS=256 -DOUTPUTS=512 -DTAPS=3 -DDILATION=1 -DLEFT=1 -DTILE_ROWS=128 -DTILE_COLUMNS=64 -DWARPS_DOWN=2 -DWARPS_ACROSS=2 -DRESULT_CHUNKS=1 -DSTATISTICS=1
// build: -DPART=1 -DTIME=51 -DINPUTS=256 -DOUTPUTS=512 -DTAPS=3 -DDILATION=1 -DLEFT=1 -DTILE_ROWS=128 -DTILE_COLUMNS=128 -DWARPS_DOWN=2 -DWARPS_ACROSS=4 -DRESULT_CHUNKS=1
// build: -DPART=2 -DTIME=51 -DINPUTS=256 -DOUTPUTS=512 -DTAPS=3 -DDILATION=1 -DLEFT=1 -DTILE_ROWS=128 -DTILE_COLUMNS=128 -DWARPS_DOWN=2 -DWARPS_ACROSS=4 -DRESULT_CHUNKS=1
// build: -DPART=2 -DTIME=204 -DINPUTS=64 -DOUTPUTS=32 -DTAPS=7 -DDILATION=4 -DLEFT=12 -DTILE_ROWS=128 -DTILE_COLUMNS=64 -DWARPS_DOWN=2 -DWARPS_ACROSS=2 -DRESULT_CHUNKS=1
// build: -DPART=3 -DTILE_ROWS=128 -DTILE_COLUMNS=128 -DWARPS_DOWN=2 -DWARPS_ACROSS=4 -DRESULT_CHUNKS=1
// build: -DPART=3 -DTILE_ROWS=128 -DTILE_COLUMNS=32 -DWARPS_DOWN=4 -DWARPS_ACROSS=1 -DRESULT_CHUNKS=1

#include "common.cl"
#include "tensor_core_product.cl"

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

// The statistics of the output's channels, chunk by chunk of TILE_ROWS rows, in a build with
// STATISTICS.
#if STATISTICS
#define LEAVES_STATISTICS , OUT(float, statistics)
#define LEFT_STATISTICS AT(statistics)
#else
#define LEAVES_STATISTICS
#define LEFT_STATISTICS 0
#endif

#if PART == 1
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1), vec_type_hint(float4)))
void conv1d_forward(
    IN(ushort, input), IN(ushort, weights), IN(float, bias), OUT(RESULT, output),
    SIZES LEAVES_STATISTICS) {
  TILES;
  const Sequences a = {AT(input), INPUTS, TIME, TAPS, INPUTS, DILATION, -LEFT};
  const Factor b = {AT(weights), OUTPUTS, OUTPUTS};
  rows_product(&warp, tiles, a, b, AT(bias), 0, 1.0f, AT(output), OUTPUTS, rows,
               LEFT_STATISTICS);
}
#endif

#if PART == 2
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1), vec_type_hint(float4)))
void conv1d_backward_input(
    IN(ushort, output_gradient), IN(ushort, weights), IN(ushort, addend), const int adds,
    OUT(RESULT, input_gradient), SIZES) {
  TILES;
  const Sequences a = {AT(output_gradient), OUTPUTS, TIME, TAPS, OUTPUTS, -DILATION, LEFT};
  const Factor b = {AT(weights), OUTPUTS, INPUTS};
  rows_product(&warp, tiles, a, b, 0, adds ? AT(addend) : 0, 1.0f, AT(input_gradient), INPUTS,
               rows, 0);
}
#endif

#if PART == 3
// Gradients of the weights and biases of several convolutions, each as in conv1d.cl: a group makes a
// tile of one of them over `span` steps, a multiple of TILE_DEPTH. Entry e of the table says: its
// first group; where input and output's gradient begin, in chunks of eight; where the parts of its
// gradients do; whether its bias has none; and its sizes. A part is as large as the gradients, those
// of the bias last; the groups of a part are neighbours.
#define FIELDS 11
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1), vec_type_hint(float4)))
void conv1d_backward_weights(
    IN(ushort, inputs), IN(ushort, output_gradients), OUT(float, parts),
    __global const int* table, const int entries, const int span, const int live) {
  TILES;
  int place = 0;
  for (int e = 1; e < entries; ++e) place += (int)get_group_id(0) >= table[e * FIELDS];
  __global const int* entry = table + place * FIELDS;
  const int group = get_group_id(0) - entry[0];
  const int time = entry[5], depth = entry[6], columns = entry[7], taps = entry[8];
  const int rows = taps * depth;
  const int down = (rows + TILE_ROWS - 1) / TILE_ROWS;
  const int across = (columns + TILE_COLUMNS - 1) / TILE_COLUMNS;
  const int part = group / (down * across), first = part * span;
  const Sequences a = {AT(inputs) + (size_t)entry[1] * 8, depth, time, taps, depth, entry[9],
                       -entry[10]};
  const Factor b = {AT(output_gradients) + (size_t)entry[2] * 8, columns, columns};
  __global float* c = AT(parts) + entry[3] + (size_t)part * (rows + 1) * columns;
  columns_product(&warp, tiles, a, b, 1.0f, c, columns, c + rows * columns, entry[4],
                  group % down * TILE_ROWS, group / down % across * TILE_COLUMNS, first,
                  min(live * time, first + span));
}
#endif
