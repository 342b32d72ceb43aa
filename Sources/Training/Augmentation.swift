import Compute

/// Draws the samples of an epoch: three views of every training window, shuffled together.
///
/// The first view is the window as it is. In the second, a share of the windows, half of them by the
/// usual recipes and drawn without replacement, have one random channel zeroed, and noise is added
/// to all. The third is MixUp (Zhang et al., 2018) with λ ~ Beta(α, α) and partners by a random
/// permutation.
public struct Augmentation: Sendable {
  /// Training windows, as indices into the dataset.
  public let windows: [Int32]
  public let channels: Int
  public let recipe: TrainingRecipe

  public init(windows: [Int32], channels: Int, recipe: TrainingRecipe) {
    self.windows = windows
    self.channels = channels
    self.recipe = recipe
  }

  /// Samples of an epoch.
  public var sampleCount: Int { Self.sampleCount(windows: windows.count) }

  /// Samples of an epoch of so many windows.
  static func sampleCount(windows: Int) -> Int { 3 * windows }

  /// Epoch that the views of `epoch` are drawn for: always the first one where they are drawn once.
  public func viewEpoch(_ epoch: Int) -> Int { recipe.redrawsViews ? epoch : 0 }

  /// The samples of an epoch in the order of training; epochs count from 0.
  public func samples(epoch: Int) -> [SampleEntry] {
    var entries = views(epoch: viewEpoch(epoch))
    var order = generator(epoch: epoch, use: 0)
    order.shuffle(&entries)
    return entries
  }

  private func generator(epoch: Int, use: UInt64) -> PhiloxGenerator {
    PhiloxGenerator(
      seed: recipe.seed, stream: RandomStream.epochOrder, step: UInt64(epoch) << 2 | use)
  }

  private func views(epoch: Int) -> [SampleEntry] {
    let count = windows.count
    let maskedCount = Int(Double(count) * recipe.maskedShare)
    var entries = windows.map { SampleEntry(window: $0) }
    entries.reserveCapacity(3 * count)

    var masks = generator(epoch: epoch, use: 1)
    var masked = Array(repeating: Int16(-1), count: count)
    for place in masks.permutation(count).prefix(maskedCount) {
      masked[place] = Int16(masks.below(channels))
    }
    for (window, channel) in zip(windows, masked) {
      entries.append(SampleEntry(window: window, maskedChannel: channel, view: .masked))
    }

    var mixes = generator(epoch: epoch, use: 2)
    for (window, partner) in zip(windows, mixes.permutation(count)) {
      entries.append(
        SampleEntry(
          window: window, partner: windows[partner],
          lambda: Float(mixes.beta(recipe.mixUpAlpha)), view: .mixed))
    }
    return entries
  }
}
