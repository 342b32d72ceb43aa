import Compute
import Testing

@testable import Training

@Suite struct AugmentationTests {
  static func make(_ count: Int, _ recipe: Recipe = .standard, seed: UInt64 = 42) -> Augmentation {
    Augmentation(
      windows: (0..<count).map { Int32(3 * $0) }, channels: 8,
      recipe: TrainingRecipe(recipe, seed: seed))
  }

  @Test(arguments: [1, 2, 7, 101])
  func anEpochHasThreeViewsOfEveryWindow(count: Int) {
    let epoch = Self.make(count).samples(epoch: 0)
    #expect(epoch.count == 3 * count)
    for view in [SampleEntry.View.original, .masked, .mixed] {
      let windows = epoch.filter { $0.view == view }.map(\.window).sorted()
      #expect(windows == (0..<count).map { Int32(3 * $0) })
    }
    let masked = epoch.filter { $0.maskedChannel >= 0 }
    #expect(masked.count == count / 2)
    #expect(masked.allSatisfy { $0.view == .masked && $0.maskedChannel < 8 })
    let partners = epoch.filter { $0.view == .mixed }.map(\.partner).sorted()
    #expect(partners == (0..<count).map { Int32(3 * $0) })
  }

  @Test func publishedViewsAreDrawnOnceAndShuffledEveryEpoch() {
    let published = Self.make(50, .published)
    let first = published.samples(epoch: 0)
    let second = published.samples(epoch: 1)
    #expect(first != second)
    #expect(Set(first) == Set(second))
    let standard = Self.make(50)
    #expect(Set(standard.samples(epoch: 0)) != Set(standard.samples(epoch: 1)))
    #expect(published.viewEpoch(5) == 0 && standard.viewEpoch(5) == 5)
  }

  @Test func aSeedGivesTheSameEpoch() {
    #expect(Self.make(40).samples(epoch: 3) == Self.make(40).samples(epoch: 3))
    #expect(Self.make(40).samples(epoch: 3) != Self.make(40, seed: 43).samples(epoch: 3))
  }

  /// Beta(0.2, 0.2): mean ½, variance 1 / (4·(2·0.2 + 1)) = 0.1786.
  @Test func mixingWeightsFollowTheirDistribution() {
    let lambdas = Self.make(20_000).samples(epoch: 0).filter { $0.view == .mixed }
      .map { Double($0.lambda) }
    let mean = lambdas.reduce(0, +) / Double(lambdas.count)
    let variance = lambdas.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(lambdas.count)
    #expect(abs(mean - 0.5) < 0.012)
    #expect(abs(variance - 0.17857) < 0.004)
    #expect(lambdas.allSatisfy { $0 >= 0 && $0 <= 1 })
  }

  @Test func boundedDrawsAreUniform() {
    var generator = PhiloxGenerator(seed: 1, stream: 9, step: 0)
    var counts = Array(repeating: 0, count: 7)
    for _ in 0..<70_000 { counts[generator.below(7)] += 1 }
    // Six degrees of freedom: chi-squared above 22.5 has p < 0.001.
    let chi = counts.reduce(0.0) { $0 + Double(($1 - 10_000) * ($1 - 10_000)) / 10_000 }
    #expect(chi < 22.5)
  }
}
