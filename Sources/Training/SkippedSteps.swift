import Compute

/// Steps of a training in half precision whose updates were left out, counted as results are read.
struct SkippedSteps: Sendable, Codable, Equatable {
  /// So many in a row are one too many: sixteen halvings bring the loss scale from where it starts
  /// to one, and nothing changes from one such step to the next but the samples.
  static let most = 20

  /// Of all steps.
  private(set) var count = 0
  /// Steps in a row, up to the last, whose loss was no number.
  private var withoutLoss = 0
  /// Steps in a row, up to the last, that were left out while the loss scale was at its smallest.
  private var atSmallestScale = 0

  /// Takes steps that came after those before.
  ///
  /// - Parameters:
  ///   - losses: one per step, in their order.
  ///   - scaling: after the last of them.
  /// - Returns: the step, by its place in `losses`, at which training should end, if any; and whether
  ///   that is because many were left out. Otherwise an update was made by a loss that is NaN or infinite.
  mutating func add(
    losses: [Float], scaling: LossScaling
  ) -> (offset: Int, isOverflow: Bool)? {
    let skipped = scaling.skippedSteps - count
    count = scaling.skippedSteps
    if let first = losses.firstIndex(where: { !$0.isFinite }),
      losses.count(where: { !$0.isFinite }) > skipped
    {
      return (first, false)
    }
    for (offset, loss) in losses.enumerated() {
      withoutLoss = loss.isFinite ? 0 : withoutLoss + 1
      if withoutLoss >= Self.most { return (offset, true) }
    }
    atSmallestScale = skipped == losses.count && scaling.scale <= 1 ? atSmallestScale + skipped : 0
    return atSmallestScale >= Self.most ? (losses.count - 1, true) : nil
  }
}
