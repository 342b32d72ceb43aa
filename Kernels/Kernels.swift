/// Sources of the OpenCL kernels, as they were when the binary was built.
public enum Kernels {
  /// Text of a file of this folder, or nil where there is none of that name.
  ///
  /// - Parameter file: its name without `.cl`, e.g. `conv1d`.
  public static func source(of file: String) -> String? {
    sources[file].map { String(decoding: $0, as: UTF8.self) }
  }

  /// Names of all files, `common` among them.
  public static var files: [String] { sources.keys.sorted() }

  private static let sources: [String: [UInt8]] = [
    "common": PackageResources.common_cl,
    "random": PackageResources.random_cl,
    "table": PackageResources.table_cl,
    "adam": PackageResources.adam_cl,
    "attention": PackageResources.attention_cl,
    "attention_dropout": PackageResources.attention_dropout_cl,
    "attention_short": PackageResources.attention_short_cl,
    "attention_short_backward": PackageResources.attention_short_backward_cl,
    "attention_tiles": PackageResources.attention_tiles_cl,
    "augment": PackageResources.augment_cl,
    "column_sums": PackageResources.column_sums_cl,
    "conv1d": PackageResources.conv1d_cl,
    "dense": PackageResources.dense_cl,
    "dense_block": PackageResources.dense_block_cl,
    "dropout": PackageResources.dropout_cl,
    "elementwise": PackageResources.elementwise_cl,
    "loss": PackageResources.loss_cl,
    "chunks": PackageResources.chunks_cl,
    "lanes": PackageResources.lanes_cl,
    "norm_block": PackageResources.norm_block_cl,
    "normalization": PackageResources.normalization_cl,
    "peaks": PackageResources.peaks_cl,
    "pooling": PackageResources.pooling_cl,
    "product": PackageResources.product_cl,
    "reduce": PackageResources.reduce_cl,
    "softmax": PackageResources.softmax_cl,
    "squeeze_block": PackageResources.squeeze_block_cl,
    "squeeze_excitation": PackageResources.squeeze_excitation_cl,
    "tensor_core": PackageResources.tensor_core_cl,
    "tensor_core_attention": PackageResources.tensor_core_attention_cl,
    "tensor_core_conv1d": PackageResources.tensor_core_conv1d_cl,
    "tensor_core_dense": PackageResources.tensor_core_dense_cl,
    "tensor_core_emulated": PackageResources.tensor_core_emulated_cl,
    "tensor_core_probe": PackageResources.tensor_core_probe_cl,
    "tensor_core_product": PackageResources.tensor_core_product_cl,
    "tensor_core_scores": PackageResources.tensor_core_scores_cl,
    "values": PackageResources.values_cl,
    "weight_copies": PackageResources.weight_copies_cl,
  ]
}
