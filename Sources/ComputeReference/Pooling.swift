import Compute

// Pooling over time: maximum or mean of each window of `size` samples, and mean over all of them.

/// The earliest maximum of each window, and its place in the window.
func maxPoolForward(
  _ shape: PoolShape, _ live: Int, input: [Double], output: inout [Double],
  argmax: inout [Double]
) {
  let (T, C) = (shape.time, shape.channels)
  for b in 0..<live {
    for t in 0..<shape.outputTime {
      for c in 0..<C {
        var place = 0
        for p in 1..<max(shape.size, 1) {
          let rival = input[(b * T + t * shape.size + p) * C + c]
          if rival > input[(b * T + t * shape.size + place) * C + c] { place = p }
        }
        let o = (b * shape.outputTime + t) * C + c
        output[o] = input[(b * T + t * shape.size + place) * C + c]
        argmax[o] = Double(place)
      }
    }
  }
}

/// The gradient goes to the maximum; all else, the samples after the last window too, gets zero.
func maxPoolBackward(
  _ shape: PoolShape, _ live: Int, argmax: [Double], outputGradient: [Double],
  inputGradient: inout [Double]
) {
  let (T, C) = (shape.time, shape.channels)
  for i in 0..<live * T * C { inputGradient[i] = 0 }
  for b in 0..<live {
    for t in 0..<shape.outputTime {
      for c in 0..<C {
        let o = (b * shape.outputTime + t) * C + c
        inputGradient[(b * T + t * shape.size + Int(argmax[o])) * C + c] = outputGradient[o]
      }
    }
  }
}

/// The mean of each window: `keras.layers.AveragePooling1D`.
func averagePoolForward(
  _ shape: PoolShape, _ live: Int, input: [Double], output: inout [Double]
) {
  let (T, C) = (shape.time, shape.channels)
  for b in 0..<live {
    for t in 0..<shape.outputTime {
      for c in 0..<C {
        var sum = 0.0
        for p in 0..<shape.size { sum += input[(b * T + t * shape.size + p) * C + c] }
        output[(b * shape.outputTime + t) * C + c] = sum / Double(shape.size)
      }
    }
  }
}

/// Each sample of a window gets an equal share; those after the last window get zero.
func averagePoolBackward(
  _ shape: PoolShape, _ live: Int, outputGradient: [Double], inputGradient: inout [Double]
) {
  let (T, C) = (shape.time, shape.channels)
  for b in 0..<live {
    for t in 0..<T {
      let window = t / shape.size
      for c in 0..<C {
        inputGradient[(b * T + t) * C + c] =
          window < shape.outputTime
          ? outputGradient[(b * shape.outputTime + window) * C + c] / Double(shape.size) : 0
      }
    }
  }
}

func meanOverTimeForward(
  _ shape: SequenceShape, _ live: Int, input: [Double], output: inout [Double]
) {
  let (T, C) = (shape.time, shape.channels)
  for b in 0..<live {
    for c in 0..<C {
      var sum = 0.0
      for t in 0..<T { sum += input[(b * T + t) * C + c] }
      output[b * C + c] = sum / Double(T)
    }
  }
}

func meanOverTimeBackward(
  _ shape: SequenceShape, _ live: Int, outputGradient: [Double], inputGradient: inout [Double]
) {
  let (T, C) = (shape.time, shape.channels)
  for b in 0..<live {
    for t in 0..<T {
      for c in 0..<C {
        inputGradient[(b * T + t) * C + c] = outputGradient[b * C + c] / Double(T)
      }
    }
  }
}
