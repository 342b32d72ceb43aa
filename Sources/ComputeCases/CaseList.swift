extension OperationCase {
  /// Every operation, forward and backward, at sizes where index arithmetic goes wrong: one time
  /// step, odd lengths, a batch of one, 1, 7 and 33 channels, dilations up to 8 and beyond the
  /// window, both paddings, pools with a remainder, fewer live samples than the capacity. Small:
  /// all of them run in plain loops within a second or two.
  public static let awkward: [OperationCase] =
    awkwardConvolutions + awkwardDense + awkwardNormalizations + awkwardElementwise
    + awkwardStructures + awkwardAttention + awkwardTraining + awkwardFusions

  /// Every operation, forward and backward, at the shapes of the two published networks.
  public static func models(batch: Int) -> [OperationCase] {
    modelConvolutions(batch: batch) + modelDense(batch: batch)
      + modelNormalizations(batch: batch) + modelElementwise(batch: batch)
      + modelStructures(batch: batch) + modelAttention(batch: batch)
      + modelTraining(batch: batch)
  }
}
