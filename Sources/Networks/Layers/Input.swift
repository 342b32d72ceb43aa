import Compute

extension Layers {
  /// `[time, channels]`: the batch.
  public struct Input: NetworkLayer {
    public static let classNames = ["InputLayer"]
    public static let automaticName = "input_layer"
    public static let inputCount = LayerInputCount.none
    public static let callForm = LayerCallForm.arguments

    public var time: Int
    public var channels: Int

    public init(time: Int, channels: Int) {
      self.time = time
      self.channels = channels
    }

    public func fault() -> String? { faulty(sizes: [time, channels]) }
    public func outputShape(_ inputs: [[Int]]) throws(LayerShapeError) -> [Int] {
      [time, channels]
    }
    public func variables(_ inputs: [[Int]]) -> [LayerVariable] { [] }

    public func forward(_ build: inout PlanBuilder) -> LayerTrace {
      LayerTrace(output: build.batch)
    }

    public func backward(
      _ build: inout PlanBuilder, _ trace: LayerTrace, outputGradient: TensorID, wanted: [Bool]
    ) -> [TensorID?] { [] }

    public static func read(
      _ config: LayerConfig, shapes: [[Int]]
    ) throws(LayerConfigError) -> LayerReading {
      try config.refuseUnknown(besides: ["batch_shape", "batch_input_shape"])
      let shape = config.settings["batch_shape"]
      guard let axes = shape?.array, axes.count == 3, let time = axes[1].int,
        let channels = axes[2].int
      else {
        throw config.unsupported(
          "batch_shape", found: shape?.brief ?? "missing",
          expected: "[null, samples, channels] of fixed sizes, such as [null,204,8]")
      }
      return .layers([Input(time: time, channels: channels)])
    }

    public func settings(_ inputs: [[Int]]) -> [String: JSONValue] {
      ["batch_shape": [nil, .integer(time), .integer(channels)], "sparse": false]
    }
  }
}
