import CVectorLoops
import Compute

extension Lowering {
  func body(_ op: GatherWindows) throws(DeviceError) -> LaunchBody {
    let device = device.name
    let threads = threads
    let (capacity, program) = (program.capacity, program.id.rawValue)
    var classWeights: Floats?
    if !op.shape.classWeights.isEmpty {
      let copy = try pool.array(Float.self, count: op.shape.classes)
      copy.update(from: op.shape.classWeights, count: op.shape.classes)
      classWeights = copy
    }
    let fixed = vl_gather(
      time: op.shape.time, channels: op.shape.channels, classes: op.shape.classes, samples: nil,
      window_starts: nil, labels: nil, mixes_labels: op.shape.mixesLabels ? 1 : 0,
      deviation: op.shape.noiseDeviation, class_weights: UnsafePointer(classWeights), epoch: 0,
      stream: RandomStream.augmentationNoise, key0: key.x, key1: key.y,
      batch: try floats(op.batch), targets: try floats(op.targets),
      sample_weights: try floats(op.sampleWeights))
    return { (context) throws(DeviceError) in
      let table = context.table
      guard let dataset = table.dataset, let entries = UnsafePointer(table.entries.baseAddress)
      else {
        throw .misused(
          device: device, what: "gather_windows of \(program) before a table was uploaded")
      }
      let first = context.step * capacity
      guard first >= 0, first + context.live <= table.entries.count else {
        throw .misused(
          device: device,
          what: "step \(context.step) with \(context.live) samples of \(program): its table has "
            + "\(table.entries.count) samples")
      }
      var gather = fixed
      gather.samples = UnsafePointer(dataset.samples.baseAddress)
      gather.window_starts = UnsafePointer(dataset.windowStarts.baseAddress)
      gather.labels = UnsafePointer(dataset.labels.baseAddress)
      gather.epoch = UInt32(truncatingIfNeeded: table.augmentationEpoch)
      vl_gather_windows(threads, &gather, entries + first, context.live)
    }
  }

  func body(_ op: GaussianNoise) throws(DeviceError) -> LaunchBody {
    let (x, y, threads) = (try floats(op.input), try floats(op.output), threads)
    let random = random(stream: op.stream)
    return { context in
      var random = random
      random.step = context.iteration
      vl_gaussian_noise(threads, y, x, op.deviation, &random, context.live * op.elementsPerSample)
    }
  }

  func body(_ op: DropoutForward) throws(DeviceError) -> LaunchBody {
    try dropout(op.shape, from: op.input, to: op.output)
  }

  func body(_ op: DropoutBackward) throws(DeviceError) -> LaunchBody {
    try dropout(op.shape, from: op.outputGradient, to: op.inputGradient)
  }

  private func dropout(
    _ shape: DropoutShape, from input: TensorID, to output: TensorID
  ) throws(DeviceError) -> LaunchBody {
    let (x, y, threads) = (try floats(input), try floats(output), threads)
    let random = random(stream: shape.stream)
    let threshold = Philox.dropoutThreshold(rate: shape.rate)
    let scale = 1 / (1 - shape.rate)
    return { context in
      var random = random
      random.step = context.iteration
      vl_dropout(
        threads, y, x, scale, threshold, &random, context.live * shape.elementsPerSample)
    }
  }

  func body(_ op: Softmax) throws(DeviceError) -> LaunchBody {
    let (x, y) = (try floats(op.logits), try floats(op.probabilities))
    let work = try pool.array(Double.self, count: op.classes)
    return { context in vl_softmax(y, x, context.live, op.classes, work) }
  }

  func body(_ op: SoftmaxCrossEntropy) throws(DeviceError) -> LaunchBody {
    let (x, y, w) = (try floats(op.logits), try floats(op.targets), try floats(op.sampleWeights))
    let p = try floats(op.probabilities)
    var dx: Floats?
    if let logitsGradient = op.logitsGradient { dx = try floats(logitsGradient) }
    let work = try pool.array(Double.self, count: op.shape.classes)
    let gradient = dx
    return { context in
      var loss = 0.0
      var hits = 0
      vl_softmax_cross_entropy(
        p, gradient, &loss, &hits, x, y, w, op.shape.smoothing, context.live, op.shape.classes, work
      )
      try context.table.reserveResult(step: context.step)
      context.table.results[context.step] = StepResult(
        loss: Float(loss), penalty: 0, hits: hits)
    }
  }

  func body(_ op: L2Penalty) throws(DeviceError) -> LaunchBody {
    let work = try pool.array(Double.self, count: Int(threads))
    let spans = try spans(of: op.kernels)
    let threads = threads
    return { context in
      var total = 0.0
      for span in spans { total += vl_sum_of_squares(threads, span.base, span.count, work) }
      try context.table.reserveResult(step: context.step)
      context.table.results[context.step].penalty += Float(total * Double(op.coefficient))
    }
  }

  /// Runs of tensors that lie side by side.
  private func spans(
    of ids: [TensorID]
  ) throws(DeviceError) -> [(base: Floats, count: Int)] {
    var result: [(base: Floats, count: Int)] = []
    for id in ids {
      let base = try floats(id)
      let count = plan[id].elementCount
      if let last = result.last, last.base + last.count == base {
        result[result.count - 1].count += count
      } else {
        result.append((base, count))
      }
    }
    return result
  }

  private struct AdamSpan {
    var parameters, gradients, firstMoments, secondMoments: Floats
    var count: Int
    var isDecayed: Bool
  }

  func body(_ op: Adam) throws(DeviceError) -> LaunchBody {
    var spans: [AdamSpan] = []
    for index in op.parameters.indices {
      let span = AdamSpan(
        parameters: try floats(op.parameters[index]), gradients: try floats(op.gradients[index]),
        firstMoments: try floats(op.firstMoments[index]),
        secondMoments: try floats(op.secondMoments[index]),
        count: plan[op.parameters[index]].elementCount, isDecayed: index < op.decayed)
      if let last = spans.last, last.isDecayed == span.isDecayed,
        last.parameters + last.count == span.parameters,
        last.gradients + last.count == span.gradients,
        last.firstMoments + last.count == span.firstMoments,
        last.secondMoments + last.count == span.secondMoments
      {
        spans[spans.count - 1].count += span.count
      } else {
        spans.append(span)
      }
    }
    let (all, oneDNN, threads, device) = (spans, oneDNN, threads, device.name)
    let (beta1, beta2) = (op.settings.beta1.decimalValue, op.settings.beta2.decimalValue)
    return { (context) throws(DeviceError) in
      guard context.table.learningRates.indices.contains(context.step) else {
        throw .misused(
          device: device,
          what: "adam at step \(context.step): its table has "
            + "\(context.table.learningRates.count) learning rates")
      }
      let rate = op.settings.stepSize(
        learningRate: Double(context.table.learningRates[context.step]),
        iteration: context.table.firstIteration + context.step + 1)
      for span in all {
        vl_adam(
          threads, span.parameters, span.firstMoments, span.secondMoments, span.gradients,
          Float(rate), Float(1 - beta1), Float(1 - beta2),
          op.settings.epsilon, span.isDecayed ? 2 * op.settings.l2 : 0, span.count)
      }
      oneDNN.weightsVersion &+= 1
    }
  }
}
