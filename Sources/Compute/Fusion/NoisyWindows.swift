/// Windows of the dataset with the network's Gaussian noise on them.
public struct NoisyWindows: Sendable {
  public var shape: GatherShape
  /// With the noise.
  public var batch: TensorID
  public var targets, sampleWeights: TensorID
  public var deviation: Float
  public var stream: UInt32
}

extension FusionFinder {
  func noisyWindows() -> [FusedPattern] {
    program.operations.indices.compactMap { index in
      guard case .gatherWindows(let shape, let batch, let targets, let weights) = self[index],
        let next = onlyReader(of: batch),
        case .gaussianNoise(_, let deviation, let stream, _, let output) = self[next]
      else { return nil }
      return FusedPattern(
        kind: .noisyWindows(
          NoisyWindows(
            shape: shape, batch: output, targets: targets, sampleWeights: weights,
            deviation: deviation, stream: stream)),
        name: "gather_noisy_windows", operations: [index, next], place: index, needs: [],
        produces: [output, targets, weights])
    }
  }
}
