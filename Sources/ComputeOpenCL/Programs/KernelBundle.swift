/// Kernel files that are built as one program where they are built with the same options: compilers
/// take longer to begin than most of these files take them.
enum KernelBundle {
  /// Small ones that are built for no shape.
  private static let small = [
    "attention", "augment", "dropout", "elementwise", "pooling",
  ]
  /// With the loss scaling, where there is one.
  private static let updates = ["adam", "column_sums", "loss"]
  /// For one shape.
  private static let layers = [
    ["attention_short", "attention_short_backward"], ["normalization", "norm_block"],
  ]
  /// Where all kernels serve all shapes, all but the products, whose tiles are options of their own.
  private static let general =
    small + updates + ["squeeze_excitation", "normalization", "norm_block", "squeeze_block"]
    + ["dense_block", "attention_short", "attention_short_backward"]

  /// Whether a file's kernels are built with the loss scaling where there is one, those too that do
  /// not know it: one program for both.
  static func isScaled(_ file: String) -> Bool { updates.contains(file) || file == "dense_block" }

  /// What all kernels are built with, or none.
  private static let common: Set = ["HALF_STORAGE", "GROUP_ITEMS"]

  /// The files of the program that has a file, in order.
  ///
  /// - Parameters:
  ///   - defines: of the build.
  ///   - servesAllShapes: whether no kernel of the device is built for a shape.
  static func files(
    with file: String, defines: [String: Int], servesAllShapes: Bool
  ) -> [String] {
    let isGeneral = servesAllShapes && common.isSuperset(of: defines.keys)
    let bundles = isGeneral ? [general] : [small, updates] + layers
    return bundles.first { $0.contains(file) } ?? [file]
  }
}
