/// How windows are gathered into a batch and their labels into targets.
public struct GatherShape: Hashable, Sendable {
  public var time: Int
  public var channels: Int
  public var classes: Int
  /// MixUp also mixes the labels by λ; otherwise they are those of the first window alone.
  public var mixesLabels: Bool
  /// Standard deviation of the noise added to the masked view.
  public var noiseDeviation: Float
  /// Weight of each class, or empty for ones: a sample's weight is Σ yᵢ·wᵢ of its unsmoothed target.
  public var classWeights: [Float]

  public init(
    time: Int, channels: Int, classes: Int, mixesLabels: Bool, noiseDeviation: Float = 0.02,
    classWeights: [Float] = []
  ) {
    precondition(
      classWeights.isEmpty || classWeights.count == classes, "a weight for each class, or none")
    self.time = time
    self.channels = channels
    self.classes = classes
    self.mixesLabels = mixesLabels
    self.noiseDeviation = noiseDeviation
    self.classWeights = classWeights
  }
}

/// Cuts windows out of the dataset of the epoch's table, augments them, and makes their targets:
/// batch `[B, T, C]`, targets `[B, classes]` (unsmoothed), sampleWeights `[B]`.
public struct GatherWindows: PlanOperation {
  public static let kind = Operation.Kind.gatherWindows
  public static let phase = Operation.Phase.forward
  public static let reports = false
  public var shape: GatherShape
  public var batch, targets, sampleWeights: TensorID

  public init(_ shape: GatherShape, batch: TensorID, targets: TensorID, sampleWeights: TensorID) {
    self.shape = shape
    self.batch = batch
    self.targets = targets
    self.sampleWeights = sampleWeights
  }

  public var reads: [TensorID] { [] }
  public var writes: [TensorID] { [batch, targets, sampleWeights] }
  public var productOperations: Double { 0 }

  /// The noise is a term beside the window's value.
  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    let noise =
      id == batch ? Double(shape.noiseDeviation) * values.count(id).squareRoot() : 0
    return values.scale(of: id, terms: values.norm(id) + noise)
  }
}
