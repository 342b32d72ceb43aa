import Compute

extension Network {
  /// sEMG-Net: four convolutions of growing width, pooled in between.
  ///
  /// - Parameters:
  ///   - time: samples of a window; 204 at 512 Hz.
  ///   - width: filters of the first convolution; 64 in the published network, fewer in tests.
  public static func semgNet(
    time: Int = 204, channels: Int = 8, classes: Int = 5, width: Int = 64
  ) throws(NetworkError) -> Network {
    let l2: Float = 1e-4
    var net = NetworkBuilder()
    var x = net.append(Layers.Input(time: time, channels: channels))
    x = net.append(Layers.GaussianNoise(standardDeviation: 0.05), x)
    for (index, kernelSize) in [9, 5, 3, 3].enumerated() {
      x = net.append(
        Layers.Conv1D(
          filters: width << index, kernelSize: kernelSize, dilation: 1, padding: .same, l2: l2),
        x)
      x = net.append(Layers.BatchNormalization(momentum: 0.99, epsilon: 1e-3), x)
      x = net.append(Layers.ReLU(), x)
      x = net.append(Layers.Dropout(rate: 0.25), x)
      if index > 0 { x = net.append(Layers.MaxPooling1D(size: 2), x) }
    }
    x = net.append(Layers.GlobalAveragePooling1D(), x)
    x = net.append(Layers.Dense(units: width * 8, activation: .relu, l2: l2), x)
    x = net.append(Layers.Dropout(rate: 0.5), x)
    _ = net.append(Layers.Dense(units: classes, activation: .softmax, l2: 0), x)
    return try net.build(name: "sEMG_Net")
  }
}
