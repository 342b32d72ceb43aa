import Compute

extension ReferencePlan {
  /// Runs one operation. A tensor that is read is copied before any is written, so an operation may
  /// write onto its own input.
  func execute(_ operation: Operation, _ context: RunContext) throws(DeviceError) {
    let live = context.live
    switch operation {
    case .gatherWindows(let shape, let batch, let targets, let weights):
      try gatherWindows(
        shape, context, batch: &self[batch].values, targets: &self[targets].values,
        sampleWeights: &self[weights].values)
    case .gaussianNoise(let count, let deviation, let stream, let input, let output):
      gaussianNoise(
        count, deviation: deviation, stream: stream, context, input: self[input].values,
        output: &self[output].values)

    case .conv1DForward(let shape, let input, let kernel, let bias, let output):
      conv1DForward(
        shape, live, input: self[input].values, kernel: self[kernel].values,
        bias: self[bias].values, output: &self[output].values)
    case .conv1DBackwardInput(let shape, let dOutput, let kernel, let dInput):
      conv1DBackwardInput(
        shape, live, outputGradient: self[dOutput].values, kernel: self[kernel].values,
        inputGradient: &self[dInput].values)
    case .conv1DBackwardKernel(let shape, let input, let dOutput, let dKernel, let dBias):
      conv1DBackwardKernel(
        shape, live, input: self[input].values, outputGradient: self[dOutput].values,
        kernelGradient: &self[dKernel].values, biasGradient: &self[dBias].values)

    case .batchNormForward(
      let shape, let input, let gamma, let beta, let output, let mean, let variance,
      let movingMean, let movingVariance):
      batchNormForward(
        shape, live, input: self[input].values, gamma: self[gamma].values,
        beta: self[beta].values, output: &self[output].values, mean: &self[mean].values,
        variance: &self[variance].values, movingMean: &self[movingMean].values,
        movingVariance: &self[movingVariance].values)
    case .batchNormInference(
      let shape, let input, let gamma, let beta, let movingMean, let movingVariance, let output):
      batchNormInference(
        shape, live, input: self[input].values, gamma: self[gamma].values,
        beta: self[beta].values, movingMean: self[movingMean].values,
        movingVariance: self[movingVariance].values, output: &self[output].values)
    case .batchNormBackward(
      let shape, let input, let dOutput, let gamma, let mean, let variance, let dInput,
      let dGamma, let dBeta):
      batchNormBackward(
        shape, live, input: self[input].values, outputGradient: self[dOutput].values,
        gamma: self[gamma].values, mean: self[mean].values, variance: self[variance].values,
        inputGradient: &self[dInput].values, gammaGradient: &self[dGamma].values,
        betaGradient: &self[dBeta].values)
    case .layerNormForward(
      let shape, let input, let gamma, let beta, let output, let mean, let variance):
      layerNormForward(
        shape, live, input: self[input].values, gamma: self[gamma].values,
        beta: self[beta].values, output: &self[output].values, mean: &self[mean].values,
        variance: &self[variance].values)
    case .layerNormBackward(
      let shape, let input, let dOutput, let gamma, let mean, let variance, let dInput,
      let dGamma, let dBeta):
      layerNormBackward(
        shape, live, input: self[input].values, outputGradient: self[dOutput].values,
        gamma: self[gamma].values, mean: self[mean].values, variance: self[variance].values,
        inputGradient: &self[dInput].values, gammaGradient: &self[dGamma].values,
        betaGradient: &self[dBeta].values)

    case .reluForward(let count, let input, let output):
      reluForward(live * count, input: self[input].values, output: &self[output].values)
    case .reluBackward(let count, let output, let dOutput, let dInput):
      reluBackward(
        live * count, output: self[output].values, outputGradient: self[dOutput].values,
        inputGradient: &self[dInput].values)
    case .sigmoidForward(let count, let input, let output):
      sigmoidForward(live * count, input: self[input].values, output: &self[output].values)
    case .sigmoidBackward(let count, let output, let dOutput, let dInput):
      sigmoidBackward(
        live * count, output: self[output].values, outputGradient: self[dOutput].values,
        inputGradient: &self[dInput].values)

    case .denseForward(let shape, let input, let kernel, let bias, let output):
      denseForward(
        shape, live, input: self[input].values, kernel: self[kernel].values,
        bias: self[bias].values, output: &self[output].values)
    case .denseBackwardInput(let shape, let dOutput, let kernel, let dInput):
      denseBackwardInput(
        shape, live, outputGradient: self[dOutput].values, kernel: self[kernel].values,
        inputGradient: &self[dInput].values)
    case .denseBackwardKernel(let shape, let input, let dOutput, let dKernel, let dBias):
      denseBackwardKernel(
        shape, live, input: self[input].values, outputGradient: self[dOutput].values,
        kernelGradient: &self[dKernel].values, biasGradient: &self[dBias].values)

    case .concatenateForward(let time, let channels, let inputs, let output):
      concatenateForward(
        live * time, channels, inputs: inputs.map { self[$0].values },
        output: &self[output].values)
    case .concatenateBackward(let time, let channels, let dOutput, let dInputs):
      for (part, dInput) in dInputs.enumerated() {
        concatenateBackward(
          live * time, channels, part: part, outputGradient: self[dOutput].values,
          inputGradient: &self[dInput].values)
      }
    case .add(let count, let inputs, let output):
      add(
        live * count, inputs: inputs.map { self[$0].values }, output: &self[output].values)
    case .scaleChannelsForward(let shape, let input, let scale, let output):
      scaleChannelsForward(
        shape, live, input: self[input].values, scale: self[scale].values,
        output: &self[output].values)
    case .scaleChannelsBackward(
      let shape, let input, let scale, let dOutput, let dInput, let dScale):
      scaleChannelsBackward(
        shape, live, input: self[input].values, scale: self[scale].values,
        outputGradient: self[dOutput].values, inputGradient: &self[dInput].values,
        scaleGradient: &self[dScale].values)

    case .maxPoolForward(let shape, let input, let output, let argmax):
      maxPoolForward(
        shape, live, input: self[input].values, output: &self[output].values,
        argmax: &self[argmax].values)
    case .maxPoolBackward(let shape, let argmax, let dOutput, let dInput):
      maxPoolBackward(
        shape, live, argmax: self[argmax].values, outputGradient: self[dOutput].values,
        inputGradient: &self[dInput].values)
    case .meanOverTimeForward(let shape, let input, let output):
      meanOverTimeForward(
        shape, live, input: self[input].values, output: &self[output].values)
    case .meanOverTimeBackward(let shape, let dOutput, let dInput):
      meanOverTimeBackward(
        shape, live, outputGradient: self[dOutput].values, inputGradient: &self[dInput].values)

    case .dropoutForward(let shape, let input, let output):
      dropout(shape, context, input: self[input].values, output: &self[output].values)
    case .dropoutBackward(let shape, let dOutput, let dInput):
      dropout(shape, context, input: self[dOutput].values, output: &self[dInput].values)

    case .attentionForward(
      let shape, let input, let parameters, let activations, let output):
      attentionForward(
        shape, context, input: input, parameters: parameters, activations: activations,
        output: output)
    case .attentionBackward(
      let shape, let input, let dOutput, let parameters, let activations, let dInput,
      let gradients):
      attentionBackward(
        shape, context, input: input, outputGradient: dOutput, parameters: parameters,
        activations: activations, inputGradient: dInput, gradients: gradients)

    case .softmax(let classes, let logits, let probabilities):
      softmax(
        classes, live, logits: self[logits].values,
        probabilities: &self[probabilities].values)
    case .softmaxCrossEntropy(
      let shape, let logits, let targets, let weights, let probabilities, let dLogits):
      executeCrossEntropy(
        shape, context, logits: logits, targets: targets, sampleWeights: weights,
        probabilities: probabilities, logitsGradient: dLogits)
    case .l2Penalty(let coefficient, let kernels):
      executePenalty(coefficient, context, kernels: kernels)
    case .adam(
      let settings, let decayed, let parameters, let gradients, let firstMoments,
      let secondMoments):
      try executeAdam(
        settings, decayed, context, parameters: parameters, gradients: gradients,
        firstMoments: firstMoments, secondMoments: secondMoments)
    }
  }

  private func executeCrossEntropy(
    _ shape: LossShape, _ context: RunContext, logits: TensorID, targets: TensorID,
    sampleWeights: TensorID, probabilities: TensorID, logitsGradient: TensorID?
  ) {
    let gradient = logitsGradient.map { self[$0] }
    let result = softmaxCrossEntropy(
      shape, context.live, logits: self[logits].values, targets: self[targets].values,
      sampleWeights: self[sampleWeights].values, probabilities: &self[probabilities].values,
      logitsGradient: gradient.map { tensor in { tensor.values[$0] = $1 } })
    results[context.program, default: [:]][context.step] = result
  }

  private func executePenalty(
    _ coefficient: Float, _ context: RunContext, kernels: [TensorID]
  ) {
    var sum = 0.0
    for kernel in kernels {
      for weight in self[kernel].values { sum += weight * weight }
    }
    let none = PreciseResult(loss: 0, penalty: 0, hits: 0)
    results[context.program, default: [:]][context.step, default: none].penalty +=
      coefficient.decimalValue * sum
  }

  private func executeAdam(
    _ settings: AdamSettings, _ decayed: Int, _ context: RunContext, parameters: [TensorID],
    gradients: [TensorID], firstMoments: [TensorID], secondMoments: [TensorID]
  ) throws(DeviceError) {
    guard let rates = context.table?.learningRates, rates.indices.contains(context.step) else {
      throw .unsupported(
        device: "reference", what: "step \(context.step): the table has no learning rate for it")
    }
    for (index, parameter) in parameters.enumerated() {
      adam(
        settings, t: context.iteration + 1, learningRate: Double(rates[context.step]),
        decays: index < decayed, gradient: self[gradients[index]].values,
        parameter: &self[parameter].values, firstMoment: &self[firstMoments[index]].values,
        secondMoment: &self[secondMoments[index]].values)
    }
  }
}
