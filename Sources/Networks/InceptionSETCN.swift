import Compute

extension Network {
  /// Inception-SE-TCN with attention: four blocks of two dilated convolutions side by side, each
  /// block squeezed, excited and added to its input, then self-attention over the time steps.
  ///
  /// - Parameters:
  ///   - time: samples of a window; 204 at 512 Hz.
  ///   - padding: of the dilated convolutions: `causal` as a TCN (Bai et al., 2018) defines it,
  ///     `same` as the published weights need it.
  ///   - width: filters of each branch; 32 in the published network, fewer in tests.
  public static func inceptionSE(
    time: Int = 204, channels: Int = 8, classes: Int = 5, padding: Padding, width: Int = 32,
    dilations: [Int] = [1, 2, 4, 8], heads: Int = 4, keySize: Int = 64, denseUnits: Int = 64
  ) throws(NetworkError) -> Network {
    let l2: Float = 1e-4
    let wide = 2 * width
    var net = NetworkBuilder()
    var x = net.append(Layers.Input(time: time, channels: channels))
    x = net.append(Layers.GaussianNoise(standardDeviation: 0.05), x)
    for (block, dilation) in dilations.enumerated() {
      var branches: [NetworkBuilder.Node] = []
      for kernelSize in [3, 7] {
        var y = net.append(
          Layers.Conv1D(
            filters: width, kernelSize: kernelSize, dilation: dilation, padding: padding, l2: l2),
          x)
        y = net.append(Layers.BatchNormalization(momentum: 0.99, epsilon: 1e-3), y)
        branches.append(net.append(Layers.ReLU(), y))
      }
      var y = net.append(Layers.Concatenate(), branches[0], branches[1])
      y = net.append(Layers.Dropout(rate: 0.2), y)
      var scale = net.append(Layers.GlobalAveragePooling1D(), y)
      scale = net.append(Layers.Dense(units: max(1, wide / 8), activation: .relu, l2: l2), scale)
      scale = net.append(Layers.Dense(units: wide, activation: .sigmoid, l2: l2), scale)
      scale = net.append(Layers.Reshape(), scale)
      y = net.append(Layers.Multiply(), y, scale)
      if block == 0 && channels != wide {
        x = net.append(
          Layers.Conv1D(filters: wide, kernelSize: 1, dilation: 1, padding: .same, l2: 0), x)
      }
      x = net.append(Layers.Add(), x, y)
    }
    x = net.append(Layers.LayerNormalization(epsilon: 1e-6), x)
    x = net.append(Layers.MultiHeadAttention(heads: heads, keySize: keySize, dropout: 0.3), x)
    x = net.append(Layers.GlobalAveragePooling1D(), x)
    x = net.append(Layers.Dense(units: denseUnits, activation: .relu, l2: l2), x)
    x = net.append(Layers.Dropout(rate: 0.5), x)
    _ = net.append(Layers.Dense(units: classes, activation: .softmax, l2: 0), x)
    return try net.build(name: "Inception_SE_Attn")
  }
}
