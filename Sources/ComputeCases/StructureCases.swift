import Compute

extension OperationCase {
  public static func concatenate(
    time: Int, channels: [Int], capacity: Int, live: Int
  ) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let xs = channels.enumerated().map { build.input("input_\($0)", [time, $1]) }
    let y = build.output("output", [time, channels.reduce(0, +)])
    build.operations = [
      .concatenateForward(
        ConcatenateForward(
          time: time, channels: channels, inputs: xs.map(\.value), output: y.value)),
      .concatenateBackward(
        ConcatenateBackward(
          time: time, channels: channels, outputGradient: y.gradient,
          inputGradients: xs.map(\.gradient))),
    ]
    return build.build(
      .concatenate, "\(channels), T \(time), \(live)/\(capacity)", live: live)
  }

  public static func scaleChannels(
    time: Int, channels: Int, capacity: Int, live: Int
  ) -> OperationCase {
    let shape = SequenceShape(time: time, channels: channels)
    var build = CaseBuilder(capacity: capacity)
    let x = build.input("input", [time, channels])
    let scale = build.input("scale", [channels], .between(0, 1))
    let y = build.output("output", [time, channels])
    build.operations = [
      .scaleChannelsForward(
        ScaleChannelsForward(shape, input: x.value, scale: scale.value, output: y.value)),
      .scaleChannelsBackward(
        ScaleChannelsBackward(
          shape, input: x.value, scale: scale.value, outputGradient: y.gradient,
          inputGradient: x.gradient, scaleGradient: scale.gradient)),
    ]
    return build.build(
      .scaleChannels, "T \(time), C \(channels), \(live)/\(capacity)",
      axes: [.time: time, .channels: channels], live: live)
  }

  public static func meanOverTime(
    time: Int, channels: Int, capacity: Int, live: Int
  ) -> OperationCase {
    let shape = SequenceShape(time: time, channels: channels)
    var build = CaseBuilder(capacity: capacity)
    let x = build.input("input", [time, channels])
    let y = build.output("output", [channels])
    build.operations = [
      .meanOverTimeForward(MeanOverTimeForward(shape, input: x.value, output: y.value)),
      .meanOverTimeBackward(
        MeanOverTimeBackward(shape, outputGradient: y.gradient, inputGradient: x.gradient)),
    ]
    return build.build(
      .meanOverTime, "T \(time), C \(channels), \(live)/\(capacity)",
      axes: [.time: time, .channels: channels], live: live)
  }

  /// - Parameter ties: inputs of five values only, so that most windows hold ties; the first wins.
  public static func maxPool(
    _ shape: PoolShape, capacity: Int, live: Int, ties: Bool = false
  ) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let x = build.input("input", [shape.time, shape.channels], ties ? .coarse(1) : .uniform(1))
    let y = build.output("output", [shape.outputTime, shape.channels])
    let argmax = build.activation("argmax", [shape.outputTime, shape.channels], type: .uint8)
    build.operations = [
      .maxPoolForward(MaxPoolForward(shape, input: x.value, output: y.value, argmax: argmax)),
      .maxPoolBackward(
        MaxPoolBackward(
          shape, argmax: argmax, outputGradient: y.gradient, inputGradient: x.gradient)),
    ]
    build.isDifferentiable = !ties
    return build.build(
      .maxPool,
      "\(shape.size)\(ties ? " with ties" : ""), T \(shape.time), C \(shape.channels), "
        + "\(live)/\(capacity)", axes: [.time: shape.time, .channels: shape.channels], live: live)
  }

  public static func averagePool(
    _ shape: PoolShape, capacity: Int, live: Int
  ) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let x = build.input("input", [shape.time, shape.channels])
    let y = build.output("output", [shape.outputTime, shape.channels])
    build.operations = [
      .averagePoolForward(AveragePoolForward(shape, input: x.value, output: y.value)),
      .averagePoolBackward(
        AveragePoolBackward(shape, outputGradient: y.gradient, inputGradient: x.gradient)),
    ]
    return build.build(
      .averagePool, "\(shape.size), T \(shape.time), C \(shape.channels), \(live)/\(capacity)",
      axes: [.time: shape.time, .channels: shape.channels], live: live)
  }

  static var awkwardStructures: [OperationCase] {
    var cases = [(1, 1, 1, 1), (13, 7, 3, 2), (8, 33, 2, 2), (1, 7, 2, 1)].flatMap {
      time, channels, capacity, live in
      [
        scaleChannels(time: time, channels: channels, capacity: capacity, live: live),
        meanOverTime(time: time, channels: channels, capacity: capacity, live: live),
      ]
    }
    cases += [
      concatenate(time: 1, channels: [1, 1], capacity: 1, live: 1),
      concatenate(time: 13, channels: [7, 33], capacity: 3, live: 2),
      concatenate(time: 5, channels: [1, 7, 2], capacity: 2, live: 2),
    ]
    for (time, size) in [(2, 2), (13, 2), (14, 3), (7, 7), (8, 1), (17, 5)] {
      let shape = PoolShape(time: time, channels: 7, size: size)
      cases.append(maxPool(shape, capacity: 3, live: 2))
      cases.append(averagePool(shape, capacity: 3, live: 2))
    }
    cases.append(
      maxPool(PoolShape(time: 21, channels: 33, size: 2), capacity: 2, live: 2, ties: true))
    cases.append(maxPool(PoolShape(time: 5, channels: 1, size: 2), capacity: 1, live: 1))
    return cases
  }

  static func modelStructures(batch: Int) -> [OperationCase] {
    [
      concatenate(time: 204, channels: [32, 32], capacity: batch, live: batch),
      scaleChannels(time: 204, channels: 64, capacity: batch, live: batch),
      meanOverTime(time: 204, channels: 64, capacity: batch, live: batch),
      meanOverTime(time: 25, channels: 512, capacity: batch, live: batch),
      maxPool(PoolShape(time: 204, channels: 128, size: 2), capacity: batch, live: batch),
      maxPool(PoolShape(time: 102, channels: 256, size: 2), capacity: batch, live: batch),
      maxPool(PoolShape(time: 51, channels: 512, size: 2), capacity: batch, live: batch),
      averagePool(PoolShape(time: 102, channels: 256, size: 2), capacity: batch, live: batch),
    ]
  }
}
