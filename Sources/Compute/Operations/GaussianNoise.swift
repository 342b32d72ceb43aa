/// `output = input + deviation·normal`, `[B, …]`.
public struct GaussianNoise: PlanOperation {
  public static let kind = Operation.Kind.gaussianNoise
  public static let phase = Operation.Phase.forward
  public static let reports = false
  public var elementsPerSample: Int
  public var deviation: Float
  /// Philox stream of this layer.
  public var stream: UInt32
  public var input, output: TensorID

  public init(
    elementsPerSample: Int, deviation: Float, stream: UInt32, input: TensorID, output: TensorID
  ) {
    self.elementsPerSample = elementsPerSample
    self.deviation = deviation
    self.stream = stream
    self.input = input
    self.output = output
  }

  public var reads: [TensorID] { [input] }
  public var writes: [TensorID] { [output] }
  public var productOperations: Double { 0 }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(
      of: id,
      terms: values.norm(input) + Double(deviation) * values.count(output).squareRoot())
  }
}
