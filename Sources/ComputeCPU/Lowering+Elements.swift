import CVectorLoops
import Compute

extension Lowering {
  func body(_ op: ReluForward) throws(DeviceError) -> LaunchBody {
    let threads = threads
    let (x, y) = (try floats(op.input), try floats(op.output))
    return { context in vl_relu_forward(threads, y, x, context.live * op.elementsPerSample) }
  }

  func body(_ op: ReluBackward) throws(DeviceError) -> LaunchBody {
    let threads = threads
    let (y, dy, dx) = (
      try floats(op.output), try floats(op.outputGradient), try floats(op.inputGradient)
    )
    return { context in vl_relu_backward(threads, dx, y, dy, context.live * op.elementsPerSample) }
  }

  func body(_ op: SigmoidForward) throws(DeviceError) -> LaunchBody {
    let threads = threads
    let (x, y) = (try floats(op.input), try floats(op.output))
    return { context in vl_sigmoid_forward(threads, y, x, context.live * op.elementsPerSample) }
  }

  func body(_ op: SigmoidBackward) throws(DeviceError) -> LaunchBody {
    let threads = threads
    let (y, dy, dx) = (
      try floats(op.output), try floats(op.outputGradient), try floats(op.inputGradient)
    )
    return { context in vl_sigmoid_backward(threads, dx, y, dy, context.live * op.elementsPerSample)
    }
  }

  func body(_ op: Add) throws(DeviceError) -> LaunchBody {
    let threads = threads
    let y = try floats(op.output)
    var terms: [Floats] = []
    for input in op.inputs { terms.append(try floats(input)) }
    return { context in
      let n = context.live * op.elementsPerSample
      vl_add(threads, y, terms[0], terms[terms.count > 1 ? 1 : 0], n)
      for term in terms.dropFirst(2) { vl_add_to(threads, y, term, n) }
    }
  }

  func body(_ op: ConcatenateForward) throws(DeviceError) -> LaunchBody {
    let threads = threads
    let y = try floats(op.output)
    let width = op.channels.reduce(0, +)
    return try concatenation(op.time, op.channels, op.inputs, width) {
      (x, offset, channels, rows) in
      vl_copy_rows(threads, y + offset, width, x, channels, channels, rows)
    }
  }

  func body(_ op: ConcatenateBackward) throws(DeviceError) -> LaunchBody {
    let threads = threads
    let dy = try floats(op.outputGradient)
    let width = op.channels.reduce(0, +)
    return try concatenation(op.time, op.channels, op.inputGradients, width) {
      (dx, offset, channels, rows) in
      vl_copy_rows(threads, dx, channels, dy + offset, width, channels, rows)
    }
  }

  private func concatenation(
    _ time: Int, _ channels: [Int], _ parts: [TensorID], _ width: Int,
    copy: @escaping (Floats, Int, Int, Int) -> Void
  ) throws(DeviceError) -> LaunchBody {
    var places: [(part: Floats, offset: Int, channels: Int)] = []
    var offset = 0
    for (part, count) in zip(parts, channels) {
      places.append((try floats(part), offset, count))
      offset += count
    }
    return { context in
      for place in places {
        copy(place.part, place.offset, place.channels, context.live * time)
      }
    }
  }

  func body(_ op: ScaleChannelsForward) throws(DeviceError) -> LaunchBody {
    let threads = threads
    let (x, s, y) = (try floats(op.input), try floats(op.scale), try floats(op.output))
    return { context in
      vl_scale_channels_forward(threads, y, x, s, context.live, op.shape.time, op.shape.channels)
    }
  }

  func body(_ op: ScaleChannelsBackward) throws(DeviceError) -> LaunchBody {
    let threads = threads
    let (x, s, dy) = (try floats(op.input), try floats(op.scale), try floats(op.outputGradient))
    let (dx, ds) = (try floats(op.inputGradient), try floats(op.scaleGradient))
    return { context in
      vl_scale_channels_backward(
        threads, dx, ds, x, s, dy, context.live, op.shape.time, op.shape.channels)
    }
  }

  func body(_ op: MaxPoolForward) throws(DeviceError) -> LaunchBody {
    let threads = threads
    let (x, y, place) = (try floats(op.input), try floats(op.output), try bytes(op.argmax))
    return { context in
      vl_max_pool_forward(
        threads, y, place, x, context.live, op.shape.time, op.shape.channels, op.shape.size)
    }
  }

  func body(_ op: MaxPoolBackward) throws(DeviceError) -> LaunchBody {
    let threads = threads
    let (place, dy, dx) = (
      try bytes(op.argmax), try floats(op.outputGradient), try floats(op.inputGradient)
    )
    return { context in
      vl_max_pool_backward(
        threads, dx, place, dy, context.live, op.shape.time, op.shape.channels, op.shape.size)
    }
  }

  func body(_ op: AveragePoolForward) throws(DeviceError) -> LaunchBody {
    let (x, y, threads) = (try floats(op.input), try floats(op.output), threads)
    let shape = op.shape
    return { context in
      vl_average_pool_forward(
        threads, y, x, context.live, shape.time, shape.channels, shape.size)
    }
  }

  func body(_ op: AveragePoolBackward) throws(DeviceError) -> LaunchBody {
    let (dy, dx, threads) = (try floats(op.outputGradient), try floats(op.inputGradient), threads)
    let shape = op.shape
    return { context in
      vl_average_pool_backward(
        threads, dx, dy, context.live, shape.time, shape.channels, shape.size)
    }
  }

  func body(_ op: MeanOverTimeForward) throws(DeviceError) -> LaunchBody {
    let threads = threads
    let (x, y) = (try floats(op.input), try floats(op.output))
    return { context in
      vl_mean_over_time_forward(threads, y, x, context.live, op.shape.time, op.shape.channels)
    }
  }

  func body(_ op: MeanOverTimeBackward) throws(DeviceError) -> LaunchBody {
    let threads = threads
    let (dy, dx) = (try floats(op.outputGradient), try floats(op.inputGradient))
    return { context in
      vl_mean_over_time_backward(threads, dx, dy, context.live, op.shape.time, op.shape.channels)
    }
  }

}
