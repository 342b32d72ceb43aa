import Compute

// Windows of the dataset into a batch: sample b of step s is entry s·capacity + b of the table.

extension GatherShape {
  /// One value of the sample that an entry describes, at time t and channel c.
  ///
  /// The masked view's noise is counted by the element t·C + c of the window, the window and the
  /// epoch: Philox counter (block, `augmentationNoise`, window, epoch), the low word of the step
  /// being the window and the high word the epoch. So a window has the same noise wherever in the
  /// epoch it is drawn.
  func value(
    _ entry: SampleEntry, t: Int, c: Int, dataset: Dataset, epoch: Int, key: SIMD2<UInt32>
  ) -> Double {
    func sample(_ window: Int32) -> Double {
      let start = Int(dataset.windowStarts[Int(window)])
      return Double(dataset.samples[(start + t) * channels + c])
    }
    switch entry.view {
    case .original:
      return sample(entry.window)
    case .masked:
      let normal = Philox.normal(
        element: t * channels + c, stream: RandomStream.augmentationNoise,
        step: UInt64(epoch) << 32 | UInt64(entry.window), key: key)
      let value = c == Int(entry.maskedChannel) ? 0 : sample(entry.window)
      return value + noiseDeviation.decimalValue * normal
    case .mixed:
      let lambda = Double(entry.lambda)
      return lambda * sample(entry.window) + (1 - lambda) * sample(entry.partner)
    }
  }

  /// The unsmoothed target of an entry: one-hot, or λ of one class and 1 − λ of the other.
  func target(_ entry: SampleEntry, dataset: Dataset) -> [Double] {
    var target = Array(repeating: 0.0, count: classes)
    let label = Int(dataset.labels[Int(entry.window)])
    guard entry.view == .mixed, mixesLabels else {
      target[label] = 1
      return target
    }
    target[label] += Double(entry.lambda)
    target[Int(dataset.labels[Int(entry.partner)])] += 1 - Double(entry.lambda)
    return target
  }

  /// Σ yᵢ·wᵢ of the unsmoothed target, 1 without class weights.
  func weight(_ target: [Double]) -> Double {
    if classWeights.isEmpty { return 1 }
    return zip(target, classWeights).reduce(0) { $0 + $1.0 * $1.1.decimalValue }
  }
}

extension ReferencePlan {
  func gatherWindows(
    _ shape: GatherShape, _ context: RunContext, batch: inout [Double], targets: inout [Double],
    sampleWeights: inout [Double]
  ) throws(DeviceError) {
    let first = context.step * context.capacity
    guard let table = context.table, first + context.live <= table.samples.count else {
      throw .misused(
        device: "reference",
        what: "step \(context.step) of \(context.live) samples: the table ends before it")
    }
    let dataset = dataset(table.dataset)
    let (T, C) = (shape.time, shape.channels)
    for b in 0..<context.live {
      let entry = table.samples[first + b]
      for t in 0..<T {
        for c in 0..<C {
          batch[(b * T + t) * C + c] = shape.value(
            entry, t: t, c: c, dataset: dataset, epoch: table.augmentationEpoch,
            key: context.key)
        }
      }
      let target = shape.target(entry, dataset: dataset)
      for c in 0..<shape.classes { targets[b * shape.classes + c] = target[c] }
      sampleWeights[b] = shape.weight(target)
    }
  }
}
