import CVectorLoops
import Compute

extension Lowering {
  /// Batches made from the dataset, and what is random.
  func batchBody(_ operation: Operation) throws(DeviceError) -> LaunchBody {
    switch operation {
    case .gatherWindows(let shape, let batch, let targets, let sampleWeights):
      return try gather(shape, batch, targets, sampleWeights)
    case .gaussianNoise(let count, let deviation, let stream, let input, let output):
      let (x, y, threads) = (try floats(input), try floats(output), threads)
      let random = random(stream: stream)
      return { context in
        var random = random
        random.step = context.iteration
        vl_gaussian_noise(threads, y, x, deviation, &random, context.live * count)
      }
    case .dropoutForward(let shape, let input, let output):
      return try dropout(shape, from: input, to: output)
    case .dropoutBackward(let shape, let outputGradient, let inputGradient):
      return try dropout(shape, from: outputGradient, to: inputGradient)
    default:
      throw misplaced(operation)
    }
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

  private func gather(
    _ shape: GatherShape, _ batch: TensorID, _ targets: TensorID, _ sampleWeights: TensorID
  ) throws(DeviceError) -> LaunchBody {
    let device = device.name
    let threads = threads
    let (capacity, program) = (program.capacity, program.id.rawValue)
    var classWeights: Floats?
    if !shape.classWeights.isEmpty {
      let copy = try pool.array(Float.self, count: shape.classes)
      copy.update(from: shape.classWeights, count: shape.classes)
      classWeights = copy
    }
    let fixed = vl_gather(
      time: shape.time, channels: shape.channels, classes: shape.classes, samples: nil,
      window_starts: nil, labels: nil, mixes_labels: shape.mixesLabels ? 1 : 0,
      deviation: shape.noiseDeviation, class_weights: UnsafePointer(classWeights), epoch: 0,
      stream: RandomStream.augmentationNoise, key0: key.x, key1: key.y,
      batch: try floats(batch), targets: try floats(targets),
      sample_weights: try floats(sampleWeights))
    return { (context) throws(DeviceError) in
      let table = context.table
      guard let dataset = table.dataset, let entries = UnsafePointer(table.entries.baseAddress)
      else {
        throw .unsupported(
          device: device, what: "gather_windows of \(program) before a table was uploaded")
      }
      let first = context.step * capacity
      guard first >= 0, first + context.live <= table.entries.count else {
        throw .unsupported(
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

  /// Loss, its metrics and the penalty.
  func lossBody(_ operation: Operation) throws(DeviceError) -> LaunchBody {
    switch operation {
    case .softmax(let classes, let logits, let probabilities):
      let (x, y) = (try floats(logits), try floats(probabilities))
      let work = try pool.array(Double.self, count: classes)
      return { context in vl_softmax(y, x, context.live, classes, work) }
    case .softmaxCrossEntropy(
      let shape, let logits, let targets, let sampleWeights, let probabilities,
      let logitsGradient):
      let (x, y, w) = (try floats(logits), try floats(targets), try floats(sampleWeights))
      let p = try floats(probabilities)
      var dx: Floats?
      if let logitsGradient { dx = try floats(logitsGradient) }
      let work = try pool.array(Double.self, count: shape.classes)
      let gradient = dx
      return { context in
        var loss = 0.0
        var hits = 0
        vl_softmax_cross_entropy(
          p, gradient, &loss, &hits, x, y, w, shape.smoothing, context.live, shape.classes, work)
        try context.table.reserveResult(step: context.step)
        context.table.results[context.step] = StepResult(
          loss: Float(loss), penalty: 0, hits: hits)
      }
    case .l2Penalty(let coefficient, let kernels):
      let work = try pool.array(Double.self, count: Int(threads))
      let spans = try spans(of: kernels)
      let threads = threads
      return { context in
        var total = 0.0
        for span in spans { total += vl_sum_of_squares(threads, span.base, span.count, work) }
        try context.table.reserveResult(step: context.step)
        context.table.results[context.step].penalty += Float(total * Double(coefficient))
      }
    default:
      throw misplaced(operation)
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

  func adam(
    _ settings: AdamSettings, _ decayed: Int, _ parameters: [TensorID], _ gradients: [TensorID],
    _ firstMoments: [TensorID], _ secondMoments: [TensorID]
  ) throws(DeviceError) -> LaunchBody {
    var spans: [AdamSpan] = []
    for index in parameters.indices {
      let span = AdamSpan(
        parameters: try floats(parameters[index]), gradients: try floats(gradients[index]),
        firstMoments: try floats(firstMoments[index]),
        secondMoments: try floats(secondMoments[index]),
        count: plan[parameters[index]].elementCount, isDecayed: index < decayed)
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
    let (beta1, beta2) = (settings.beta1.decimalValue, settings.beta2.decimalValue)
    return { (context) throws(DeviceError) in
      guard context.table.learningRates.indices.contains(context.step) else {
        throw .unsupported(
          device: device,
          what: "adam at step \(context.step): its table has "
            + "\(context.table.learningRates.count) learning rates")
      }
      let rate = settings.stepSize(
        learningRate: Double(context.table.learningRates[context.step]),
        iteration: context.table.firstIteration + context.step + 1)
      for span in all {
        vl_adam(
          threads, span.parameters, span.firstMoments, span.secondMoments, span.gradients,
          Float(rate), Float(1 - beta1), Float(1 - beta2),
          settings.epsilon, span.isDecayed ? 2 * settings.l2 : 0, span.count)
      }
      oneDNN.weightsVersion &+= 1
    }
  }
}
