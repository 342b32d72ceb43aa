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
      guard let gather = operation(index, GatherWindows.self),
        let (next, noise) = onlyReader(of: gather.batch, GaussianNoise.self)
      else { return nil }
      return FusedPattern(
        kind: .noisyWindows(
          NoisyWindows(
            shape: gather.shape, batch: noise.output, targets: gather.targets,
            sampleWeights: gather.sampleWeights, deviation: noise.deviation,
            stream: noise.stream)),
        name: "gather_noisy_windows", operations: [index, next], place: index, needs: [],
        produces: [noise.output, gather.targets, gather.sampleWeights])
    }
  }
}
